#!/bin/sh
# Photos, from an empty folder to a sorted one: a base, a task for each folder of class folders, then
# a pile of mixed photos as a contact sheet, and sorted by task and class.
#
#   sh examples/photos_trained.sh [FOLDER]   default: a new temporary folder, removed at the end
#
#   WEIGHTS=FILE.safetensors   a network trained elsewhere as the base, or imagenet, which fetches one
#   ARCH=                      its architecture, mobilenet_v2 by default, or any of torchvision or
#                              timm/NAME; without weights: conv-4, drawn at random
#   SIZE=                      pixels a side; by default what the weights were trained on, or 32
#   PHOTOS=FOLDER              your photos to learn from, FOLDER/TASK/CLASS/IMAGE
#   PILE=FOLDER                your photos to sort
#   STEPS=                     updates of each mask; the recipe's own by default
#   PLOT=FILE.png              a picture of which task is taken for which; needs matplotlib
#
# Without PHOTOS, patches are cut from the sample photos that scikit-image and scikit-learn carry
# (pip install 'supsup[bench]'): three tasks are learned, and the pile has photos of a fourth as
# well. What no task knows goes to sorted/_new.
set -eu
cut="$(cd "$(dirname "$0")" && pwd)/../tests/benchmarks/made/photo_patches.py"
absolute() { case "$1" in '' | /*) printf '%s\n' "$1" ;; *) printf '%s\n' "$PWD/$1" ;; esac; }
[ "${WEIGHTS:-}" = imagenet ] || WEIGHTS=$(absolute "${WEIGHTS:-}")
PHOTOS=$(absolute "${PHOTOS:-}")
PILE=$(absolute "${PILE:-}")
PLOT=$(absolute "${PLOT:-}")
. "$(dirname "$0")/workplace.sh"

if [ -z "$PHOTOS" ]; then
    say python "$cut" samples --train "${TRAIN:-200}" --test "${TEST:-20}" --size "${SIZE:-32}"
    PHOTOS=learned
    mkdir -p learned
    mv samples/things samples/living samples/science learned/
    if [ -z "$PILE" ]; then
        PILE=pile
        mkdir -p pile
        for photo in learned/*/test/*/*.png samples/outdoors/test/*/*.png; do
            class=$(basename "$(dirname "$photo")")
            cp "$photo" "pile/$class-$(basename "$photo")"
        done
    fi
fi

augment=
if [ -n "$WEIGHTS" ]; then
    say supsup init-base --bank bank --arch "${ARCH:-mobilenet_v2}" --weights "$WEIGHTS" \
        ${SIZE:+--input "3x${SIZE}x${SIZE}"}
else
    augment=flip,shift
    say supsup init-base --bank bank --arch "${ARCH:-conv-4}" --input "3x${SIZE:-32}x${SIZE:-32}" \
        --outputs 100
fi

set --
for task in "$PHOTOS"/*/; do
    set -- "$@" --data "${task%/}"
done
say supsup learn-task --bank bank "$@" ${augment:+--augment "$augment"} ${STEPS:+--steps "$STEPS"}
say supsup evaluate --bank bank ${PLOT:+--plot "$PLOT"}

# Each photo's task and class, from the photo alone. Typed again, this changes nothing.
if [ -n "$PILE" ]; then
    say supsup predict --bank bank "$PILE" --sheet sheet.png --sort sorted
    printf '\nphotos in each folder:\n'
    find sorted -type f | sed 's|/[^/]*$||' | sort | uniq -c
fi
