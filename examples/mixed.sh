#!/bin/sh
# One bank with tasks of several kinds: permuted, rotated and split digits, and a folder of other
# images; images of no task are told as new. About a minute on two cores.
#
#   sh examples/mixed.sh [FOLDER]        default: a new temporary folder, removed at the end
#
#   STEPS=1000 LIMIT=500                 updates a task, test images a task
set -eu
. "$(dirname "$0")/workplace.sh"

steps=${STEPS:-1000}
limit=${LIMIT:-500}

# The folder: pictures that are no digits. Here stripes across and along, made by a few lines;
# yours may hold any image files, a folder for each class.
stripes() { # stripes CLASS: 60 noisy pictures of 28 x 28 in the plain PGM format
    mkdir -p "stripes/$1"
    awk -v class="$1" -v folder="stripes/$1" 'BEGIN {
        srand(class == "across")
        for (n = 0; n < 60; n++) {
            file = sprintf("%s/%02d.pgm", folder, n)
            phase = int(8 * rand())
            print "P2 28 28 255" > file
            for (y = 0; y < 28; y++) for (x = 0; x < 28; x++) {
                on = int(((class == "across" ? y : x) + phase) / 4) % 2
                print int(on * 150 + 100 * rand()) > file
            }
            close(file)
        }
    }'
}
stripes across
stripes along

say supsup init-base --bank bank
say supsup learn-task --bank bank --data mnist-perm-0 --steps "$steps"
supsup predict --bank bank --task mnist-perm-0 --data mnist-perm-0 --limit 50 >before.txt
say supsup learn-task --bank bank --data mnist-perm-1..2 --data mnist-rot-90 --data mnist-rot-180 \
    --data mnist-split-0 --data stripes --recipe separable --steps "$steps"
say supsup evaluate --bank bank --limit "$limit"

# Nothing is forgotten: the first task answers as it did before the others came.
supsup predict --bank bank --task mnist-perm-0 --data mnist-perm-0 --limit 50 >after.txt
say cmp before.txt after.txt

# Images of a permutation that nobody has learned: exit code 4 says that a task is new.
status=0
say supsup infer-task --bank bank --data mnist-perm-9 --limit 5 --fail-on-new || status=$?
[ "$status" -eq 4 ]
