"""Compare signatures by compiled loops over stored integers; see `core.compiling`.

This does what `looks` and `table` do in plain PyTorch, group by group, so that an image's result
does not depend on other images. Rows with one byte per number are read directly: ten thousand
tasks' centres take 3 MB.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from supsup_cli.core.compiling import compiled

_HALVINGS = 24  # of the range of values, one of float32's digits each


@compiled
def _whole_sum(row: Any, values: Any) -> Any:
    total = np.float32(0)
    for place in range(len(row)):
        total += np.float32(row[place]) * values[place]
    return total


@compiled
def _weighted_square(values: Any, weights: Any) -> Any:
    total = np.float32(0)
    for place in range(len(values)):
        total += values[place] * values[place] * weights[place]
    return total


@compiled
def _add(values: Any, total: Any) -> None:
    for place in range(len(values)):
        total[place] += values[place]


@compiled
def _count_above(values: Any, bar: Any) -> int:
    count = 0
    for place in range(len(values)):
        count += values[place] > bar
    return count


@compiled
def _best(values: Any, most: int, places: Any) -> int:
    # The best values except −∞, the earlier ones if equal, in order. Counting, sixteen at a time,
    # halves the range that holds the worst of them until few are left to sort.
    bar = np.float32(-np.inf)
    if _count_above(values, bar) > most:
        high, low = values.max(), np.float32(np.inf)
        for value in values:
            if value > -np.inf:
                low = min(low, value)
        for _ in range(_HALVINGS):
            middle = (low + high) / np.float32(2)
            above = _count_above(values, middle)
            if above > most:
                low = bar = middle
                if above <= most + most // 4:
                    break
            else:
                high = middle
        left = values[values > bar]
        bar = -np.partition(-left, most - 1)[most - 1]
    equals, count = most - _count_above(values, bar), 0
    for place in range(len(values)):
        same = values[place] == bar and bar > -np.inf
        if values[place] > bar or (same and equals > 0):
            places[count] = place
            count += 1
        if same:
            equals -= 1
    return count


@compiled
def _drop_far(values: Any, own: float, size: float, margin: float) -> None:
    # Fit scores −ν/2 n ln(1 + Q / n D) beyond a margin of the best: a bound on Q = own − 2 value.
    nearest = max(0.0, own - 2.0 * values.max())
    bound = (own - (size + nearest) * math.exp(margin) + size) / 2.0
    for place in range(len(values)):
        if values[place] < bound:
            values[place] = -np.inf


@compiled
def _centre_values(
    together: Any, images: int, centres: Any, lines: Any, starts: Any, values: Any
) -> None:
    for task in range(len(centres)):
        values[task] = -np.inf
        if starts[task + 1] > starts[task]:
            values[task] = _whole_sum(centres[task], together) * lines[0, task]
            values[task] += images * lines[1, task]


@compiled
def _class_values(features: Any, classes: Any, lines: Any, first: int, last: int) -> Any:
    total = np.float32(0)
    for image in range(len(features)):
        best = np.float32(-np.inf)
        for one in range(first, last):
            value = _whole_sum(classes[one], features[image]) * lines[0, one] + lines[1, one]
            best = max(best, value)
        total += best
    return total


@compiled
def look(
    features: Any,
    centres: Any,
    centre_lines: Any,
    classes: Any,
    class_lines: Any,
    starts: Any,
    precisions: Any,
    margin: float,
    most: Any,
    first: int,
    last: int,
    out: Any,
) -> None:
    """Choose tasks of groups `first` to `last`, by their centres, then by their classes' means.

    Args:
        features: (G, n, D) float32, contiguous.
        centres: (T, D) int8, contiguous.
        centre_lines: (2, T) float32, scale and bias of each row.
        classes: (ΣM, D) int8, contiguous.
        class_lines: (2, ΣM) float32, the same for each class.
        starts: (T + 1,) int64, start of each task's classes; a task without classes is never
            chosen.
        precisions: (D,) float32, weights of an image's own part of Q in the second look.
        margin: the second look drops tasks further behind the best, in nats over ν/2.
        most: (2,) int64, largest number of tasks after each look.
        first: group to begin with.
        last: group to end before.
        out: (G, most[1]) int64, written to: the tasks in order, then −1.
    """
    images, size = features.shape[1], features.shape[2]
    together = np.zeros(size, np.float32)
    values = np.zeros(len(centres), np.float32)
    near, chosen = np.zeros(len(centres), np.int64), np.zeros(len(centres), np.int64)
    for group in range(first, last):
        together[:] = 0
        own = 0.0
        for image in range(images):
            _add(features[group, image], together)
            own += _weighted_square(features[group, image], precisions)
        _centre_values(together, images, centres, centre_lines, starts, values)
        count = _best(values, most[0], near)
        for place in range(count):
            begin, end = starts[near[place]], starts[near[place] + 1]
            values[place] = _class_values(features[group], classes, class_lines, begin, end)
        out[group] = -1
        if count > 0:
            _drop_far(values[:count], own, float(size) * images, margin / images)
            count = _best(values[:count], most[1], chosen)
        for place in range(count):
            out[group, place] = near[chosen[place]]


@compiled
def _squared_distance(values: Any, mean: Any, apart: Any) -> Any:
    total = np.float32(0)
    for place in range(len(values)):
        away = values[place] - mean[place]
        apart[place] = away
        total += away * away
    return total


@compiled
def _product(one: Any, other: Any) -> Any:
    total = np.float32(0)
    for place in range(len(one)):
        total += one[place] * other[place]
    return total


@compiled
def distances(
    features: Any,
    members: Any,
    means: Any,
    directions: Any,
    variances: Any,
    shares: Any,
    noise: float,
    out: Any,
) -> None:
    """Compute Q of images under one task's signature; see `TaskSignature.distances`.

    Args:
        features: (N, D) float32, contiguous.
        members: (P,) int64, places of the images.
        means: (M, D) float32.
        directions: (M, k, D) float32.
        variances: (M, k) float32.
        shares: (M,) float32.
        noise: σ².
        out: (P,) float32, written to.
    """
    classes, count = variances.shape
    apart = np.zeros(means.shape[1], np.float32)
    terms = np.zeros(classes)
    change = np.zeros((classes, count))
    stretch = np.zeros(classes)
    for one in range(classes):
        for place in range(count):
            variance = max(float(variances[one, place]), noise)
            change[one, place] = 1 / variance - 1 / noise
            stretch[one] += math.log(variance / noise)
    for place in range(len(members)):
        image = features[members[place]]
        for one in range(classes):
            total = _squared_distance(image, means[one], apart) / noise + stretch[one]
            for direction in range(count):
                if change[one, direction] != 0:
                    along = float(_product(apart, directions[one, direction]))
                    total += along * along * change[one, direction]
            terms[one] = math.log(shares[one]) - total / 2
        most = terms.max()
        mixture = 0.0
        for one in range(classes):
            mixture += math.exp(terms[one] - most)
        out[place] = max(0.0, -2 * (most + math.log(mixture)))


KERNELS: tuple[Callable[..., None], ...] = (look, distances)
