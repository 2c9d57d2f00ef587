"""Run a perceptron under packed masks by compiled loops; see `core.compiling`.

A row of weights is masked once for all images of a mask. Weights and inputs are laid out by a bit's
place in its byte, in eight planes with one number per byte of the mask, so that sixteen bytes
choose sixteen weights at a time. If a row starts inside a byte, the inputs start there too, and
bits of the previous row meet zeros.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from supsup_cli.core.compiling import compiled

# Images under one mask at a time: their inputs and a row of weights stay in a core's cache.
_IMAGES = 32
# A row is widened to a multiple of so many bytes, so that it fills the processor's vectors; planes
# of weights are so much longer than the masks.
PADDING = 16


@compiled
def _keep(row: Any, weights: Any, bit: Any, kept: Any) -> None:
    for place in range(len(row)):
        kept[place] = weights[place] if row[place] & bit else np.float32(0)


@compiled
def _in_planes(source: Any, units: int, width: int, targets: Any) -> None:
    # Once for each bit that a row may start with; after at most eight rows they repeat.
    for unit in range(min(8, units)):
        lead = unit * len(source) % 8
        if unit and lead == 0:
            break
        target = targets[lead, : 8 * width]
        target[:] = 0
        for place in range(len(source)):
            at = lead + place
            target[(at & 7) * width + (at >> 3)] = source[place]


@compiled
def _four_sums(kept: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    none = np.float32(0)
    one, two, three, four = none, none, none, none
    for place in range(len(kept)):
        weight = kept[place]
        one += weight * first[place]
        two += weight * second[place]
        three += weight * third[place]
        four += weight * fourth[place]
    return one, two, three, four


@compiled
def _copy(source: Any, target: Any) -> None:
    for place in range(len(source)):
        target[place] = source[place]


@compiled
def _unit(kept: Any, values: Any, count: int, gain: Any, rectified: bool, out: Any) -> None:
    # Always four images, the last one again where there are fewer: another loop for the rest would
    # be compiled in its own way, and add up in another order on some processors.
    size, last = len(kept), count - 1
    for image in range(0, count, 4):
        sums = _four_sums(
            kept,
            values[image, :size],
            values[min(image + 1, last), :size],
            values[min(image + 2, last), :size],
            values[min(image + 3, last), :size],
        )
        for place in range(min(4, count - image)):
            total = sums[place] * gain
            out[image + place] = total if total > 0 or not rectified else np.float32(0)


@compiled
def run_perceptrons(
    planes: Any,
    sizes: Any,
    packed: Any,
    gains: Any,
    images: Any,
    tasks: Any,
    starts: Any,
    members: Any,
    first: int,
    last: int,
    out: Any,
) -> None:
    """Run a perceptron under the masks of entries `first` to `last`, each on its own images.

    Args:
        planes: (8, n + 16) float32, weights by their bit's place in its byte.
        sizes: (L + 1,) int64, inputs, then the units of every layer.
        packed: (T, n) uint8, contiguous; each layer's bits begin on a byte.
        gains: (T, L) float32, gain of a kept weight in each layer.
        images: (B, inputs) float32, contiguous.
        tasks: (K,) int64, the mask of each entry.
        starts: (K + 1,) int64, start of each entry's images among `members`.
        members: (P,) int64, places of the images.
        first: entry to begin with.
        last: entry to end before.
        out: (P, outputs) float32, written to.
    """
    layers, widest = len(sizes) - 1, sizes.max()
    longest = (widest + 14) // 8 + PADDING
    row = np.zeros(packed.shape[1] + PADDING, np.uint8)
    kept = np.zeros(8 * longest, np.float32)
    most = 1
    for entry in range(first, last):
        most = max(most, min(_IMAGES, starts[entry + 1] - starts[entry]))
    units_of = np.zeros((widest, most), np.float32)  # outputs of all units of a layer
    inputs_of = np.zeros(widest, np.float32)
    values = np.zeros((8, most, 8 * longest), np.float32)  # by the bit a row begins with
    for entry in range(first, last):
        task = tasks[entry]
        _copy(packed[task], row)
        for begin in range(starts[entry], starts[entry + 1], _IMAGES):
            count = min(_IMAGES, starts[entry + 1] - begin)
            byte = 0
            for layer in range(layers):
                inputs, units = sizes[layer], sizes[layer + 1]
                width = ((inputs + 14) // 8 + PADDING - 1) // PADDING * PADDING
                if inputs % 8 == 0:
                    width = (inputs // 8 + PADDING - 1) // PADDING * PADDING
                for image in range(count):
                    source = images[members[begin + image]]
                    if layer:
                        _copy(units_of[:inputs, image], inputs_of)
                        source = inputs_of[:inputs]
                    _in_planes(source, units, width, values[:, image])
                for unit in range(units):
                    start = unit * inputs
                    here = byte + start // 8
                    for bit in range(8):
                        _keep(
                            row[here : here + width],
                            planes[bit, here : here + width],
                            np.uint8(1 << bit),
                            kept[bit * width : (bit + 1) * width],
                        )
                    _unit(
                        kept[: 8 * width],
                        values[start % 8],
                        count,
                        gains[task, layer],
                        layer < layers - 1,
                        units_of[unit],
                    )
                byte += (units * inputs + 7) // 8
            for image in range(count):
                _copy(units_of[: sizes[layers], image], out[begin + image])


KERNELS: tuple[Callable[..., None], ...] = (run_perceptrons,)
