#!/bin/sh
# RotatedMNIST: 36 tasks, ten degrees apart. Neighbours look alike, so a group of images decides
# together, and the recipe for tasks that look alike pays; about half an hour on two cores.
#
#   sh examples/rotated.sh [FOLDER]      default: a new temporary folder, removed at the end
#
#   RANGE=0..350:10 STEPS=2000 LIMIT=…   angles, updates a task, test images a task (all)
#   RECIPE=separable                     how masks are learned
set -eu
. "$(dirname "$0")/workplace.sh"

steps=${STEPS:-2000}
limit=${LIMIT:+--limit $LIMIT}

say supsup init-base --bank bank --arch "${ARCH:-fc-1024-1024}" --outputs 200
say supsup learn-task --bank bank --data "mnist-rot-${RANGE:-0..350:10}" \
    --recipe "${RECIPE:-separable}" --steps "$steps" --quiet
# shellcheck disable=SC2086 # $limit is two words or none
{
    say supsup evaluate --bank bank --group 128 --method binary $limit
    say supsup evaluate --bank bank --group 128 $limit
    say supsup evaluate --bank bank --group image $limit # class right, whatever the task: "shared"
}
