#!/bin/sh
# Tasks that resemble earlier ones: fewer steps from a start at earlier masks, and a few hundred
# coefficients' bytes in place of a mask where a combination is good enough. A minute on two cores.
#
#   sh examples/transfer.sh [STEPS]     default: 1000
#
# The curve of accuracy against steps: python tests/benchmarks/learning/transfer.py --plot transfer.png
set -eu
. "$(dirname "$0")/install.sh"

steps=${1:-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
say() { printf '\n$ %s\n' "$*"; "$@"; }

say supsup init-base --bank bank
say supsup learn-task --bank bank --data mnist-rot-0..40:20 --transfer --steps "$steps"

# Fifty steps, fresh and from the masks of its neighbours:
say supsup learn-task --bank bank --data mnist-rot-60 --name fresh --steps 50
say supsup learn-task --bank bank --data mnist-rot-60 --name transferred --steps 50 --transfer

# Half way between two tasks, no mask is needed if this share of images may be asked for:
say supsup learn-task --bank bank --data mnist-rot-30 --combine 0.9 --steps "$steps"
say supsup stats --bank bank
say supsup verify --bank bank
