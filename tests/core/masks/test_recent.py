"""Unpacked masks are kept for the next image, within a limit on memory."""

import torch

from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.masks.recent import RecentMasks

SIZE = 4 * 100  # bytes


def _counted(most: int) -> tuple[RecentMasks, list[int]]:
    unpacked: list[int] = []

    def unpack(index: int) -> Masks:
        unpacked.append(index)
        return {"weight": torch.full((10, 10), float(index))}

    return RecentMasks(unpack, most), unpacked


def test_a_mask_that_repeats_is_unpacked_once() -> None:
    recent, unpacked = _counted(3 * SIZE)
    for index in (4, 4, 7, 4, 7):
        assert recent[index]["weight"].eq(index).all()
    assert unpacked == [4, 7]


def test_the_memory_is_bounded_and_what_was_used_last_stays() -> None:
    recent, unpacked = _counted(2 * SIZE)
    for index in (0, 1, 0, 2, 0, 1):
        assert recent[index]["weight"].eq(index).all()
        assert recent.bytes <= 2 * SIZE
    assert unpacked == [0, 1, 2, 1]


def test_one_mask_larger_than_the_bound_is_kept_alone() -> None:
    recent, unpacked = _counted(SIZE // 2)
    for index in (3, 3, 5, 3):
        assert recent[index]["weight"].eq(index).all()
        assert recent.bytes == SIZE
    assert unpacked == [3, 5, 3]
