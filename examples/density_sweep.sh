#!/bin/sh
# Sparse masks: how much of a task's bytes can go before its accuracy does? One bank a density,
# two permuted tasks each. About two minutes on two cores.
#
#   sh examples/density_sweep.sh [STEPS]     default: 1000
#   DENSITIES="er:1 er:16" sh examples/density_sweep.sh
#
# The table with the entropy bound and a dense net of the same bytes beside it, and the picture:
#   python tests/benchmarks/storage/density.py --plot density.png
set -eu
. "$(dirname "$0")/install.sh"

steps=${1:-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for density in ${DENSITIES:-er:1 er:2 er:4 er:8 er:16 er:32}; do
    echo "\$ supsup learn-task --density $density"
    supsup init-base --bank "$work/$density" --quiet >"$work/init"
    supsup learn-task --bank "$work/$density" --data mnist-perm-0..1 --steps "$steps" --density "$density"
done
echo "\$ supsup learn-task"
supsup init-base --bank "$work/half" --quiet >"$work/init"
supsup learn-task --bank "$work/half" --data mnist-perm-0..1 --steps "$steps"
