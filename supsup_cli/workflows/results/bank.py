"""What `verify` answers."""

from dataclasses import dataclass

_WORST_FIRST = (5, 12, 13)


@dataclass(frozen=True)
class FoundProblem:
    """A file of the bank and what is wrong with it.

    `exit` is the exit code that reading it gives, `invariant` names the rule of FORMAT.md that it
    breaks, `hint` the next command to type.
    """

    file: str
    message: str
    exit: int
    invariant: str
    hint: str


@dataclass(frozen=True)
class DoneRepair:
    """A step of `verify --repair`: `quarantined`, `renamed`, `regenerated` or `made`.

    `to` is where the file is afterwards, `message` what was wrong with it.
    """

    file: str
    action: str
    to: str
    message: str


@dataclass(frozen=True)
class VerifyResult:
    """Answer of `verify`; after `--repair`, `problems` holds what was not mended without loss.

    `repairs` are only planned if `dry_run` is true.
    """

    ok: bool
    problems: tuple[FoundProblem, ...]
    hints: tuple[str, ...]
    tasks: int
    repairs: tuple[DoneRepair, ...]
    dry_run: bool

    @property
    def exit_code(self) -> int:
        """Damage first, then files of another base or a newer format, then what I/O refused."""
        codes = {problem.exit for problem in self.problems}
        return next((code for code in _WORST_FIRST if code in codes), 0)
