"""What can go wrong outside the bank, one class per exit code.

    SupsupError                     exit  slug
    ├── UsageError                  2     usage             bad option value, unknown data
    ├── NoInputError                2     no-input          nothing usable to read
    │   └── ImageError              2     no-input          one image file that cannot be read
    ├── TooManyClassesError         2     too-many-classes  more classes than real outputs
    ├── DeviceError                 2     no-device         the device asked for is not there
    ├── StorageError                13    storage           a file outside the bank: no space, I/O
    ├── StoppedError                130   interrupted       stopped by a signal; the work is kept
    └── RankFailedError             as the other rank's, or 1 and rank-died

Every message is one line that names the file or the task and both values, found and expected;
`hint` is the next command to type.
"""

from collections.abc import Mapping
from typing import ClassVar


class SupsupError(Exception):
    """An error with a one-line message, and in `hint` the next command to type."""

    slug: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SupsupError):
    """Refuse an option's value or a name that is not known."""

    slug = "usage"
    exit_code = 2


class NoInputError(SupsupError):
    """Report that nothing usable was given to read."""

    slug = "no-input"
    exit_code = 2


class ImageError(NoInputError):
    """Report one image file that cannot be read; among good ones it is a result, not an end."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class TooManyClassesError(SupsupError):
    """Refuse a task that has more classes than the bank has real outputs."""

    slug = "too-many-classes"
    exit_code = 2


class DeviceError(SupsupError):
    """Refuse a device that this machine does not have; it is never replaced silently."""

    slug = "no-device"
    exit_code = 2


class StorageError(SupsupError):
    """Report a file outside the bank that could not be read or written."""

    slug = "storage"
    exit_code = 13


class StoppedError(SupsupError):
    """Report how far a command came before it was stopped.

    Args:
        message: see `SupsupError`.
        hint: see `SupsupError`.
        beside: what is done, for the JSON document.
    """

    slug = "interrupted"
    exit_code = 130

    def __init__(self, message: str, *, hint: str, beside: Mapping[str, object]) -> None:
        super().__init__(message, hint=hint)
        self.beside = beside


class RankFailedError(SupsupError):
    """Report on this rank what ended another; only under torchrun.

    Args:
        message: see `SupsupError`; names the rank.
        hint: see `SupsupError`.
        slug: of the error there.
        exit_code: of the error there.
        beside: what is done, to stand beside the error in a JSON document.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        slug: str,
        exit_code: int,
        beside: Mapping[str, object],
    ) -> None:
        super().__init__(message, hint=hint)
        self.slug, self.exit_code, self.beside = slug, exit_code, beside  # type: ignore[misc]


class PartDeliveredError(Exception):
    """End the work of a rank after rank 0 got its part; nothing went wrong."""
