"""Masks that were unpacked last, kept for the next image: tasks repeat."""

from collections import OrderedDict
from collections.abc import Callable

from supsup_cli.core.masks.masks import Masks

# Bytes of unpacked masks that are kept at most; one alone may take more.
MOST_BYTES = 256 * 2**20


class RecentMasks:
    """The unpacked masks of the tasks that were run last.

    Args:
        unpack: gives a task's masks, by its index.
        most: bytes that are kept, at most; the mask that was run last is kept whatever it takes.
    """

    def __init__(self, unpack: Callable[[int], Masks], most: int = MOST_BYTES) -> None:
        self._unpack = unpack
        self._most = most
        self._kept: OrderedDict[int, Masks] = OrderedDict()
        self._bytes = 0

    def __getitem__(self, index: int) -> Masks:
        """Return a task's masks, which nobody may change."""
        found = self._kept.pop(index, None)
        if found is None:
            found = self._unpack(index)
            self._bytes += _size(found)
        self._kept[index] = found
        while self._bytes > self._most and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _size(oldest)
        return found

    @property
    def bytes(self) -> int:
        """What is kept, bytes."""
        return self._bytes


def _size(masks: Masks) -> int:
    return sum(one.numel() * one.element_size() for one in masks.values())
