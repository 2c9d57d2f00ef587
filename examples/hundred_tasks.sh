#!/bin/sh
# A folder with images of a hundred tasks, twenty of each, mixed: every image its own answer.
#
#   sh examples/hundred_tasks.sh [FOLDER]   default: a new temporary folder, removed at the end
#
#   TASKS=100 STEPS=300                  tasks, updates a task
set -eu
. "$(dirname "$0")/workplace.sh"

last=$((${TASKS:-100} - 1))
say supsup init-base --bank bank
supsup learn-task --bank bank --data "mnist-perm-0..$last" --steps "${STEPS:-300}" --quiet >learned.txt

# Names of the files tell nothing of the task; key.txt keeps the truth.
mkdir -p images
for task in $(seq 0 "$last"); do
    supsup data export "mnist-perm-$task" "exported-$task" --limit 20 |
        while read -r file; do
            name=$(cksum <"$file" | cut -d' ' -f1)
            cp "$file" "images/$name.png"
            echo "images/$name.png mnist-perm-$task"
        done
done | sort >key.txt

supsup infer-task --bank bank images/ --json >answers.json
python3 - <<'PYTHON'
import json

key = dict(line.split() for line in open("key.txt", encoding="utf-8"))
answers = json.load(open("answers.json", encoding="utf-8"))
right = sum(key[one["source"]] == one["task"] for one in answers["results"])
known = sum(one["known"] for one in answers["results"])
print(f"{len(key)} images: {right} of the right task, {known} called known, {answers['seconds']:.1f} s")
PYTHON
