#!/bin/sh
# Masks as attractors (HopSupSup): the masks of five tasks in one matrix for each layer, found again
# from unlabelled images alone. About five minutes on two cores.
#
#   sh examples/hopfield.sh [FOLDER]     default: a new temporary folder, removed at the end
#
#   ARCH=units-2048-2048                 widths of the layers whose units the masks choose
#   STEPS=                               updates of each mask; the recipe's own by default
#   LIMIT=                               test images of each task; all by default
#   PLOT=                                a file for the picture of the recovery; needs matplotlib
set -eu
. "$(dirname "$0")/workplace.sh"

say supsup init-base --bank bank --arch "${ARCH:-units-2048-2048}" --outputs 10
say supsup learn-task --bank bank --data mnist-split-0..4 ${STEPS:+--steps "$STEPS"}

# All masks in matrices whose size does not depend on their number; each recalled three ways.
say supsup encode-hopfield --bank bank --verify ${LIMIT:+--limit "$LIMIT"}

# Which task are these images of? No stored mask is looked at before one has been recovered.
say supsup infer-task --bank bank --method hopfield --group folder --data mnist-split-0..4 \
    ${LIMIT:+--limit "$LIMIT"} ${PLOT:+--plot "$PLOT"}
say supsup evaluate --bank bank --method hopfield --group all ${LIMIT:+--limit "$LIMIT"}

# A further task is added to the matrices; the file stays as large as it is.
say supsup learn-task --bank bank --data mnist-perm-0 --steps "${STEPS:-300}"
say supsup verify --bank bank
say supsup encode-hopfield --bank bank
say supsup stats --bank bank
