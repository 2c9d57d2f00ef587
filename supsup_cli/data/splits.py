"""A task's data, and the seeded draws that split it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.variants import rearranged

InputShape = tuple[int, int, int]

CALIBRATION_DRAW: Final = 1
TEST_DRAW: Final = 2
LIMIT_DRAW: Final = 3

_CALIBRATION_DIVISOR = 20
# With fewer calibration images a task can call no image new, see `novelty_threshold`; but learning
# keeps three quarters of the training images.
FEWEST_TO_CALIBRATE: Final = 20
_LARGEST_SHARE = 4
_TEST_SHARE = 0.15
_MOVED = 1024  # images at a time


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Labelled images, which may lie in a store that tasks share.

    Attributes:
        store: (M, C, H, W) uint8; the images themselves if there are no rows.
        labels: (N,) int64, the class indices 0..K-1.
        rows: (N,) int64, the place of each image in the store.
        sources: (C · H · W,) int64, the place of each pixel in the store's image; None: the same
            place.
    """

    store: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64] | None = None
    sources: NDArray[np.int64] | None = None

    @property
    def images(self) -> NDArray[np.uint8]:
        """The images (N, C, H, W) uint8; gathered at every call if the store is shared."""
        rows = self.store if self.rows is None else self.store[self.rows]
        return rows if self.sources is None else rearranged(rows, self.sources)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def take(self, places: NDArray[np.int64] | slice) -> "Split":
        """Take some of the images, in the order given."""
        labels = self.labels[places]
        if self.rows is None:
            return Split(self.store[places], labels, None, self.sources)
        return Split(self.store, labels, self.rows[places], self.sources)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutData:
    """The test split of one task; the training images were not read.

    `outputs` is the network's output for each class; `source` is "" for named data, else the
    folder's absolute path; `broken` lists (path, reason) of what could not be read. `files` names
    the file of each image; it is empty if images have no files of their own.
    """

    name: str
    classes: tuple[str, ...]
    outputs: tuple[int, ...]
    test: Split
    source: str = ""
    broken: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class TaskData:
    """One task's three splits, which share no image.

    `digest` names the data (64 hex digits). For a folder, `parts` says how many images each split
    has and where they come from, and `notes` has a line for everything else found there. The other
    fields, except `files`, are those of `HeldOutData`.
    """

    name: str
    classes: tuple[str, ...]
    outputs: tuple[int, ...]
    train: Split
    calibration: Split
    test: Split
    digest: str
    source: str = ""
    broken: tuple[tuple[str, str], ...] = ()
    parts: str = ""
    notes: tuple[str, ...] = ()


def generator(seed: int, draw: int) -> np.random.RandomState:
    """Make the generator for one kind of draw; no two kinds share a random stream.

    It is RandomState, because numpy promises never to change its permutations. The task file
    records the seed, which must find the same images for ever.

    Args:
        seed: the user's seed, 0 or more.
        draw: one of this module's `*_DRAW` numbers.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence((seed, draw))))


def held_out_count(images: int) -> int:
    """Count the images of a class to hold out for the test: 15 %, at least one of two."""
    return max(1, round(_TEST_SHARE * images)) if images > 1 else 0


def calibration_count(images: int) -> int:
    """Count the training images to set aside: 5 %, or 20 if that is no more than a quarter."""
    few = FEWEST_TO_CALIBRATE if images >= _LARGEST_SHARE * FEWEST_TO_CALIBRATE else 0
    return max(images // _CALIBRATION_DIVISOR, few)


def calibration_share(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Draw the training images for calibration, see `part_calibration`: (N,) bool."""
    order = generator(seed, CALIBRATION_DRAW).permutation(len(labels))
    _, first_of_class = np.unique(labels[order], return_index=True)
    candidates = np.delete(order, first_of_class)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    chosen[candidates[: calibration_count(len(labels))]] = True
    return chosen


def part_calibration(
    images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int, *, in_place: bool = False
) -> tuple[Split, Split]:
    """Set a seeded share of the training images aside for calibration, see `calibration_count`.

    Every class keeps at least one training image; fewer than 20 images give an empty calibration
    split.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        seed: the task's seed, as its file records it.
        in_place: whether to keep the training images in `images`, which then changes; images that
            fill most of the memory need no copy.

    Returns:
        (train, calibration), each in the order of `images`; together they are all images.
    """
    chosen = calibration_share(labels, seed)
    calibration = Split(images[chosen], labels[chosen])
    if not in_place:
        return Split(images[~chosen], labels[~chosen]), calibration
    kept = np.flatnonzero(~chosen)
    # images move only towards the front, so that none is overwritten before it has moved
    for start in range(0, len(kept), _MOVED):
        part = kept[start : start + _MOVED]
        images[start : start + len(part)] = images[part]
    return Split(images[: len(kept)], labels[~chosen]), calibration


def choose(count: int, limit: int | None, seed: int) -> NDArray[np.int64]:
    """Choose `limit` random (seeded) images of `count`, the same for every command.

    Returns:
        (min(count, limit),) int64 indices, ascending and distinct; all when `limit` is None.

    Raises:
        ValueError: the limit is negative.
    """
    if limit is None or limit >= count:
        return np.arange(count, dtype=np.int64)
    if limit < 0:
        raise ValueError(f"limit {limit}, expected 0 or more")
    return np.sort(generator(seed, LIMIT_DRAW).permutation(count)[:limit]).astype(np.int64)
