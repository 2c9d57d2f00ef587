#!/bin/sh
# One supsup that stays, asked again and again: the bank is read once, an answer takes milliseconds.
#
#   sh examples/coprocess.sh [FOLDER]       default: a new temporary folder, removed at the end
#
#   TASKS=3 STEPS=300 IMAGES=20             tasks, updates a task, images that are asked about
#
# Works in bash and in any other shell: two named pipes, one for questions and one for answers.
set -eu
. "$(dirname "$0")/workplace.sh"

last=$((${TASKS:-3} - 1))
say supsup init-base --bank bank
supsup learn-task --bank bank --data "mnist-perm-0..$last" --steps "${STEPS:-300}" --quiet >learned.txt
supsup data export mnist-perm-1 images --limit "${IMAGES:-20}" --quiet >files.txt

mkfifo questions answers
supsup predict --bank bank --json-lines --quiet - <questions >answers &
exec 3>questions 4<answers
while read -r file; do
    echo "$file" >&3    # one line asks ...
    read -r answer <&4  # ... and one line answers, before the next is asked
    echo "$answer" | sed 's/.*"source": "\([^"]*\)", "task": "\([^"]*\)".*"label": "\([^"]*\)".*/\1 \2 \3/'
done <files.txt
exec 3>&-
wait
