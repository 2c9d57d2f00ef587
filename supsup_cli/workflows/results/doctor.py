"""What `doctor` answers."""

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]
_WORST_FIRST = (5, 12, 13)


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        check: what was tried.
        status: `warning` means that it works with limits, `failed` that it does not.
        found: what was seen, one line.
        hint: what to do about it, or empty.
        exit: the exit code that a failure gives; 0 where it did not fail.
    """

    check: str
    status: Status
    found: str
    hint: str = ""
    exit: int = 0


@dataclass(frozen=True)
class DoctorResult:
    """Answer of `doctor`; `ok` if nothing failed."""

    ok: bool
    checks: tuple[Check, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """Damage first, then another base or a newer format, then a file system that is unfit."""
        codes = {one.exit for one in self.checks}
        return next((code for code in _WORST_FIRST if code in codes), max(codes, default=0))
