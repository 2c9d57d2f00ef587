"""The images of `infer-task` and `predict`: files read a few at a time, or named test splits."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data import catalog, names
from supsup_cli.data.folders.walking import Seen
from supsup_cli.data.images import read_images
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.sources import Source, find_images, read_lines
from supsup_cli.data.splits import InputShape, choose
from supsup_cli.errors import ImageError, NoInputError, UsageError

# Images read at once; this bounds memory, whatever the size of the network's input.
_AT_ONCE = 8192
_LEAST_AT_ONCE = 1024
_EVENLY = 4  # a multiple of this many batches
_BYTES_AT_ONCE = 2**26


@dataclass(frozen=True)
class InputRequest:
    """Where images come from: paths (with lines for "-"), or data names with a limit for each.

    `given` holds images that are already in memory, (N, C, H, W) uint8 in the network's shape. An
    image file with more pixels than `reading` allows is a failed input.
    """

    paths: Sequence[str]
    stdin: TextIO
    data: Sequence[str]
    limit: int | None
    seed: int
    reading: Reading = DEFAULT
    given: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class InputBatch:
    """Inputs in order; a broken one has an error and no image.

    Attributes:
        sources: name of each input, as it is printed.
        folders: folder or data name of each input, for groups.
        errors: why an input cannot be used; None if it can.
        images: (N, C, H, W) uint8, only of the usable inputs, in order.
    """

    sources: tuple[str, ...]
    folders: tuple[str, ...]
    errors: tuple[str | None, ...]
    images: NDArray[np.uint8]

    @property
    def usable(self) -> list[int]:
        """Positions of the inputs that have an image."""
        return [place for place, error in enumerate(self.errors) if error is None]


def read_inputs(
    request: InputRequest,
    input_shape: InputShape,
    seeds: Mapping[str, int],
    note: Callable[[str], None],
) -> Iterator[InputBatch]:
    """Read the inputs in batches, so that memory does not grow with their number.

    Args: see `input_batches`.

    Raises:
        UsageError: both paths and data, or neither.
        NoInputError: there is nothing to read, or no input is usable.
    """
    usable = False
    first_error: str | None = None
    for read in input_batches(request, input_shape, seeds, note):
        batch = read()
        usable = usable or bool(batch.usable)
        first_error = first_error or next(filter(None, batch.errors), None)
        yield batch
    if not usable and request.given is None:
        raise NoInputError(f"no usable image among the inputs; the first: {first_error}")


def input_batches(
    request: InputRequest,
    input_shape: InputShape,
    seeds: Mapping[str, int],
    note: Callable[[str], None],
) -> Iterator[Callable[[], InputBatch]]:
    """Split the inputs into batches, each read only when its function is called.

    Args:
        request: where the images come from.
        input_shape: (C, H, W) of the network's input.
        seeds: digest of data → seed of the task learned from it. The test split is what that task
            held out, whatever this command's seed.
        note: gets a line for everything that folders hold besides images.

    Raises:
        UsageError: both paths and data, or neither.
        NoInputError: there is nothing to read.
    """
    if request.given is not None:
        return _given(request.given)
    if bool(request.paths) == bool(request.data):
        found = "both" if request.paths else "neither"
        raise UsageError(f"images and --data: {found} given, expected one of the two")
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: expected at least 1")
    if request.paths:
        return _files(request, input_shape, note)
    return _test_splits(request, input_shape, seeds)


def decided_together(batches: Iterable[InputBatch], group: str) -> Iterator[InputBatch]:
    """Cut batches so that none ends inside a group; only folders and all need every image at once.

    Args:
        batches: in order.
        group: image, folder, all, or a number N of usable images in order.
    """
    if group == "image":
        yield from batches
        return
    if group in ("folder", "all"):
        yield joined(batches)
        return
    size = int(group)
    left: list[InputBatch] = []
    for batch in batches:
        left.append(batch)
        if sum(len(one.images) for one in left) < size:
            continue
        whole = joined(left)
        over = len(whole.images) % size
        end = whole.usable[-over] if over else len(whole.sources)
        first, rest = _cut(whole, end)
        if first.sources:
            yield first
        left = [rest] if rest.sources else []
    if left:
        yield joined(left)


def joined(batches: Iterable[InputBatch]) -> InputBatch:
    """Join batches into one, for decisions that span them."""
    parts = list(batches)
    return InputBatch(
        tuple(source for part in parts for source in part.sources),
        tuple(folder for part in parts for folder in part.folders),
        tuple(error for part in parts for error in part.errors),
        np.concatenate([part.images for part in parts]),
    )


def _cut(batch: InputBatch, place: int) -> tuple[InputBatch, InputBatch]:
    """Cut a batch in two before an input."""
    images = batch.errors[:place].count(None)
    return (
        InputBatch(
            batch.sources[:place],
            batch.folders[:place],
            batch.errors[:place],
            batch.images[:images],
        ),
        InputBatch(
            batch.sources[place:],
            batch.folders[place:],
            batch.errors[place:],
            batch.images[images:],
        ),
    )


def _given(images: NDArray[np.uint8]) -> Iterator[Callable[[], InputBatch]]:
    at_once = _at_once(len(images), images.shape[1:])
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        names = tuple(str(place) for place in range(start, start + len(part)))
        yield partial(InputBatch, names, ("",) * len(part), (None,) * len(part), part)


def _at_once(count: int, input_shape: tuple[int, ...]) -> int:
    """Choose the size of a batch so that ranks can share many images evenly."""
    even = _EVENLY * -(-count // (_EVENLY * _AT_ONCE))
    most = max(_LEAST_AT_ONCE, -(-count // max(1, even)))
    return min(most, max(1, _BYTES_AT_ONCE // math.prod(input_shape)))


def _files(
    request: InputRequest, input_shape: InputShape, note: Callable[[str], None]
) -> Iterator[Callable[[], InputBatch]]:
    seen = Seen()
    sources = find_images(request.paths, read_lines(request.stdin), seen)
    for line in seen.notes():
        note(line)
    if request.limit is not None:
        sources = [sources[i] for i in choose(len(sources), request.limit, request.seed)]
    at_once = _at_once(len(sources), input_shape)
    for start in range(0, len(sources), at_once):
        part = sources[start : start + at_once]
        yield partial(_read_files, part, input_shape, request.reading.max_pixels)


def _read_files(part: Sequence[Source], input_shape: InputShape, max_pixels: int) -> InputBatch:
    read = read_images([one.path for one in part if one.problem is None], input_shape, max_pixels)
    images = [one for one in read if not isinstance(one, ImageError)]
    left = iter(read)
    results = [next(left) if one.problem is None else one.problem for one in part]
    return InputBatch(
        tuple(one.path for one in part),
        tuple(one.folder for one in part),
        tuple(str(one) if isinstance(one, NoInputError) else None for one in results),
        np.stack(images) if images else np.empty((0, *input_shape), dtype=np.uint8),
    )


def _test_splits(
    request: InputRequest, input_shape: InputShape, seeds: Mapping[str, int]
) -> Iterator[Callable[[], InputBatch]]:
    for name in names.expand(request.data):
        known = catalog.reading_of(name, input_shape, seeds, request.reading)
        reading = known or request.reading
        digest = catalog.digest(name, input_shape, reading)
        seed = seeds.get(digest, request.seed)
        data = catalog.load_test(name, input_shape, seed=seed, reading=reading)
        test = data.test
        if data.broken:
            yield partial(
                InputBatch,
                tuple(path for path, _ in data.broken),
                (name,) * len(data.broken),
                tuple(f"{path}: {reason}" for path, reason in data.broken),
                test.images[:0],
            )
        chosen = choose(len(test), request.limit, request.seed)
        at_once = _at_once(len(chosen), input_shape)
        for start in range(0, len(chosen), at_once):
            part = chosen[start : start + at_once]
            yield partial(
                InputBatch,
                tuple(data.files[place] if data.files else f"{name}[{place}]" for place in part),
                (name,) * len(part),
                (None,) * len(part),
                test.images[part],
            )
