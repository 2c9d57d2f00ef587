"""Images that a program has in memory, as inputs, or as a task if they have labels."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from supsup_cli.data.images import fit_image, fit_images, read_image
from supsup_cli.data.splits import (
    TEST_DRAW,
    InputShape,
    Split,
    TaskData,
    generator,
    held_out_count,
    part_calibration,
)
from supsup_cli.errors import NoInputError, UsageError

_CHANNELS = (1, 3)


def as_images(images: Any, input_shape: InputShape) -> NDArray[np.uint8]:
    """Convert a program's images to the network's input shape.

    Args:
        images: one image or several: PIL images of any mode, paths, or anything that numpy accepts
            (an array, a tensor on the CPU), of shape (H, W) for grey, (C, H, W) or (H, W, C) with C
            1 or 3, or with a dimension N in front; uint8, or floating-point numbers from 0 to 1.
        input_shape: (C, H, W) of the network's input.

    Returns:
        (N, C, H, W) uint8, fitted as image files are.

    Raises:
        UsageError: they have another shape, type or range.
        ImageError: an image that cannot be decoded, named by its file or its place.
    """
    if isinstance(images, (Image.Image, str, Path)):
        return _one_image(images, input_shape, "image")[None]
    if isinstance(images, (list, tuple)):
        parts = [
            _one_image(one, input_shape, f"image {place}")[None]
            if isinstance(one, (Image.Image, str, Path))
            else as_images(one, input_shape)
            for place, one in enumerate(images)
        ]
        return np.concatenate(parts) if parts else np.empty((0, *input_shape), np.uint8)
    return fit_images(_planes(_bytes(np.asarray(images))), input_shape)


def task_data(
    name: str,
    examples: Iterable[tuple[Any, int]],
    classes: Sequence[str] | None,
    input_shape: InputShape,
    seed: int,
    test: Iterable[tuple[Any, int]] | None = None,
) -> TaskData:
    """Make a task of labelled images in memory.

    Args:
        name: of the task.
        examples: pairs (image, label), such as a torch Dataset; images as for `as_images`, labels
            from 0 on.
        classes: a name for each label; None uses the numbers.
        input_shape: (C, H, W) of the network's input.
        seed: of the shares held out for test and calibration.
        test: examples for the test; None holds out a seeded 15 % of each class.

    Raises:
        NoInputError: fewer than two classes, or one without an image.
        UsageError: images or labels that cannot be used.
    """
    images, labels = _collected(name, examples, input_shape)
    names = tuple(classes or map(str, range(int(labels.max(initial=-1)) + 1)))
    if test is None:
        chosen = _test_share(labels, seed)
        held_out = Split(images[chosen], labels[chosen])
        images, labels = images[~chosen], labels[~chosen]
    else:
        held_out = Split(*_collected(name, test, input_shape))
    _check_labels(name, labels, held_out.labels, names)
    train, calibration = part_calibration(images, labels, seed)
    description = {
        "classes": names,
        "input": list(input_shape),
        "images": [_sha256(part) for part in (images, labels, held_out.images, held_out.labels)],
    }
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    outputs = tuple(range(len(names)))
    return TaskData(name, names, outputs, train, calibration, held_out, digest)


def _one_image(
    image: Image.Image | str | Path, input_shape: InputShape, name: str
) -> NDArray[np.uint8]:
    if not isinstance(image, Image.Image):
        return read_image(str(image), input_shape)
    return fit_image(image, input_shape, str(getattr(image, "filename", "") or name))


def _bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating) or pixels.size == 0:
        raise UsageError(f"images of {pixels.dtype} found, expected uint8, or floats from 0 to 1")
    least, most = float(pixels.min()), float(pixels.max())
    if not (least >= 0 and most <= 1):  # NaN fails both comparisons
        raise UsageError(
            f"pixels from {least:g} to {most:g} found, expected 0 to 1, not normalised yet"
        )
    levels: NDArray[np.uint8] = np.rint(pixels * 255).astype(np.uint8)
    return levels


def _planes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return pixels[None, None]
    if pixels.ndim in (3, 4):
        channels_first = pixels if pixels.ndim == 4 else pixels[None]
        if channels_first.shape[1] in _CHANNELS:
            return channels_first
        if channels_first.shape[3] in _CHANNELS:
            return channels_first.transpose(0, 3, 1, 2)
    raise UsageError(
        f"images of shape {list(pixels.shape)} found, expected (C, H, W), (N, C, H, W), or the "
        "channels last, with 1 or 3 channels"
    )


def _collected(
    name: str, examples: Iterable[tuple[Any, int]], input_shape: InputShape
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for place, (image, label) in enumerate(examples):
        if isinstance(image, (Image.Image, str, Path)):
            images.append(_one_image(image, input_shape, f"image {place}")[None])
        else:
            images.append(as_images(image, input_shape))
        labels.append(int(label))
    if any(len(one) != 1 for one in images):
        raise UsageError(f"task {name!r}: several images with one label found, expected one")
    whole = np.concatenate(images) if images else np.empty((0, *input_shape), np.uint8)
    return whole, np.array(labels, dtype=np.int64)


def _check_labels(
    name: str, train: NDArray[np.int64], test: NDArray[np.int64], classes: tuple[str, ...]
) -> None:
    labels = np.concatenate((train, test))
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise UsageError(
            f"task {name!r}: labels from {labels.min()} to {labels.max()} found, expected 0 to "
            f"{len(classes) - 1}"
        )
    counts = np.bincount(train, minlength=len(classes)).tolist()
    if len(classes) < 2 or min(counts) == 0:
        raise NoInputError(
            f"task {name!r}: {counts} images of its {len(classes)} classes found, expected two "
            "classes and an image of each to learn from"
        )


def _test_share(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    draws = generator(seed, TEST_DRAW)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        places = draws.permutation(np.flatnonzero(labels == label))
        share = held_out_count(len(places))
        chosen[places[:share]] = True
    return chosen


def _sha256(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
