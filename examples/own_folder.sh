#!/bin/sh
# Your own images: a folder of class folders is a task, named after the folder. Here the folders
# are made from MNIST; yours may hold any image files.
#
#   sh examples/own_folder.sh [FOLDER]   default: a new temporary folder, removed at the end
set -eu
. "$(dirname "$0")/workplace.sh"

say supsup data export mnist-split-0 zero-or-one/train --split train --limit 600 --quiet
say supsup data export mnist-split-0 zero-or-one/test --limit 100 --quiet
say supsup data export mnist-perm-3 scrambled/train --split train --limit 2000 --quiet
say supsup data export mnist-perm-3 scrambled/test --limit 200 --quiet

say supsup init-base --bank bank
say supsup learn-task --bank bank --data zero-or-one --data scrambled --steps "${STEPS:-300}"
say supsup evaluate --bank bank
say supsup predict --bank bank scrambled/test/7/
say supsup tasks --bank bank
