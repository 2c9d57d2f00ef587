#!/bin/sh
# SplitMNIST: five tasks of two digits. All look alike, so recipe `separable` also learns from
# warped images of the task itself, which are none of its digits. A minute on two cores.
#
#   sh examples/split.sh [FOLDER]        default: a new temporary folder, removed at the end
#
#   STEPS=… LIMIT=200                    updates a task (the recipe's own), images a task where
#                                        superpositions decide
set -eu
. "$(dirname "$0")/workplace.sh"

steps=${STEPS:+--steps $STEPS}
for recipe in separable default; do
    say supsup init-base --bank "$recipe" --quiet
    # shellcheck disable=SC2086 # $steps is two words or none
    say supsup learn-task --bank "$recipe" --data mnist-split-0..4 --recipe "$recipe" $steps
    # The class is one of ten digits: "inferred" is the ten-way decision.
    say supsup evaluate --bank "$recipe"
    for method in one-shot binary; do
        say supsup evaluate --bank "$recipe" --method "$method" --objective H --limit "${LIMIT:-200}"
    done
done
