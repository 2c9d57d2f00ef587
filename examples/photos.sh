#!/bin/sh
# Photos: conv-4 over 32 x 32 colour, four tasks of four classes each, cut from the sample photos
# that scikit-image and scikit-learn carry (pip install 'supsup[bench]'); your own folders of photos,
# of any size, are learned by the same commands. About ten minutes on two cores.
#
#   sh examples/photos.sh [FOLDER]   default: a new temporary folder, removed at the end
#   STEPS=, TRAIN=, TEST= (patches of each class) make it smaller
set -eu
cut="$(cd "$(dirname "$0")" && pwd)/../tests/benchmarks/made/photo_patches.py"
. "$(dirname "$0")/workplace.sh"

say python "$cut" photos --train "${TRAIN:-400}" --test "${TEST:-100}"
say supsup init-base --bank bank --arch conv-4 --input 3x32x32 --outputs 100
say supsup learn-task --bank bank --data photos/things --data photos/living \
    --data photos/science --data photos/outdoors --augment flip,shift --steps "${STEPS:-1000}"
say supsup evaluate --bank bank
say supsup predict --bank bank --task living photos/living/test/cat/00*.png
say supsup tasks export things things.safetensors --bank bank
