"""Keep the number of threads that a task was started with, whichever process continues it.

The number of threads decides in which order products and convolutions add. So another number may
give other bits, and with them other masks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# More threads than this are not worth starting on a machine with fewer processors.
_MOST = 64


@contextmanager
def threads_restored() -> Iterator[None]:
    """Restore torch's number of threads at the end, whatever it was set to meanwhile."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def use_threads(count: float) -> str:
    """Use so many threads from now on, if possible.

    Args:
        count: from a saved state.

    Returns:
        a note about it, one line; empty if nothing changes.

    Raises:
        ValueError: it is not a number of threads.
    """
    if count < 1 or not count.is_integer():
        raise ValueError(f"{count} threads found, expected a whole number, at least 1")
    here = torch.get_num_threads()
    if count == here:
        return ""
    most = max(_MOST, os.cpu_count() or 1)
    if count > most:
        return (
            f"begun with {count:,.0f} threads, of which at most {most} can be used here; with "
            f"{here}, its masks may differ from those of a run that never stopped"
        )
    torch.set_num_threads(int(count))
    return f"with {count:.0f} threads, as it began; without it, {here} would be used"
