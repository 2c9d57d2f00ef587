"""How loops are compiled by numba for this processor; imported only where loops are wanted.

Compiled functions take numpy arrays, compute a range of their result and release the interpreter's
lock, so that threads of the caller share the work: numba's own threads do not survive a fork, and
not all of its builds allow two callers at once. Compiling takes a few seconds; the code is kept on
the disk, beside its file or in the user's cache folder, and where neither can be written for the
process alone.

Sums may be added in any order, which differs from one processor to another, but never from one call
to the next.
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
    except RuntimeError:  # no folder that can be written
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


def compilations(kernel: Callable[..., None]) -> int:
    """Count how often this process compiled a loop, as it found no code of it on the disk."""
    return sum(cast("Any", kernel).stats.cache_misses.values())
