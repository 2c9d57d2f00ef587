#!/bin/sh
# PermutedMNIST: tasks that share nothing but their network; which one an image belongs to is
# found from the image alone. Fifty tasks take about five minutes on two cores.
#
#   sh examples/permuted.sh [FOLDER]     default: a new temporary folder, removed at the end
#
#   TASKS=50 STEPS=1000 LIMIT=100        tasks, updates a task, test images a task
set -eu
. "$(dirname "$0")/workplace.sh"

last=$((${TASKS:-50} - 1))
steps=${STEPS:-1000}
limit=${LIMIT:-100}

say supsup init-base --bank bank
say supsup learn-task --bank bank --data "mnist-perm-0..$last" --steps "$steps" --quiet
say supsup evaluate --bank bank --limit "$limit"

# The paper's recipe: lower accuracy, but one gradient at the even superposition names the task.
say supsup init-base --bank paper
say supsup learn-task --bank paper --data "mnist-perm-0..$last" --recipe paper --steps "$steps" --quiet
for objective in H G; do
    say supsup evaluate --bank paper --method one-shot --objective "$objective" --limit "$limit"
done
