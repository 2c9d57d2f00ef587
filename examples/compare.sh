#!/bin/sh
# Several methods on the same tasks, in the same order, each with a learning rate of one grid.
#
#   sh examples/compare.sh [FOLDER]         default: a new temporary folder, removed at the end
#
#   DATA=mnist-perm-0..9 STEPS=             what is learned, updates a task (default: the recipe's)
#   METHODS=supsup,batche,psp             which methods; empty: all that are installed
set -eu
. "$(dirname "$0")/workplace.sh"

set -- --data "${DATA:-mnist-perm-0..9}" --csv compare.csv --plot compare.png
[ -z "${METHODS:-}" ] || set -- "$@" --methods "$METHODS"
[ -z "${STEPS:-}" ] || set -- "$@" --steps "$STEPS"
say supsup compare "$@"
