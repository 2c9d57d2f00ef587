#!/bin/sh
# From an empty folder to a prediction: one frozen network learns three tasks, names the task of
# single images nobody labelled, and classifies them. About a minute on two cores.
#
#   sh examples/quickstart.sh [FOLDER]     default: a new temporary folder, removed at the end
set -eu
. "$(dirname "$0")/install.sh"

if [ $# -gt 0 ]; then
    mkdir -p "$1"
    work=$1
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
say() { printf '\n$ %s\n' "$*"; "$@"; }

cd "$work"
say supsup init-base --bank bank
say supsup learn-task --bank bank --data mnist-perm-7..8 --data mnist-rot-90

# A folder of test images of all three tasks, mixed: their names tell nothing of the task.
mkdir -p images
for data in mnist-perm-7 mnist-perm-8 mnist-rot-90; do
    supsup data export "$data" "exported-$data" --limit 4 |
        while read -r file; do cp "$file" "images/$(cksum <"$file" | cut -d' ' -f1).png"; done
done

say supsup infer-task --bank bank images/
say supsup predict --bank bank images/
say supsup evaluate --bank bank
say supsup stats --bank bank
say supsup verify --bank bank
