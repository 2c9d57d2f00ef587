"""Compile loops by numba for this processor; imported only if loops are needed.

Compiled functions take numpy arrays, compute a range of their result and release the interpreter's
lock, so that the caller's threads can share the work: numba's own threads do not survive a fork,
and not all of its builds allow two callers at once. Compiling takes a few seconds; the code is kept
on disk, next to its file or in the user's cache folder. If neither can be written, it lasts only
for the process.

Sums may be added in any order, which may differ between processors, but not between calls.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called with arguments of these types."""
    options = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no writable folder
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


def compilations(kernel: Callable[..., None]) -> int:
    """Count how often this process compiled a loop because it found no code on the disk."""
    return sum(cast("Any", kernel).stats.cache_misses.values())
