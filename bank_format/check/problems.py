"""What `verify` finds, as data, with the next command to type."""

import shlex
from dataclasses import dataclass

from bank_format.disk.stores import Place
from bank_format.errors import BankError, DamagedError, OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import can_regenerate, init_command
from bank_format.store.layout import BANK_FILE, BASE_FILE

__all__ = ["Problem", "VerifyReport", "problem_of"]

_UNREADABLE = "I1"
_PARENTS = "I11"  # the combination's own file needs no repair


@dataclass(frozen=True, slots=True)
class Problem:
    """One file that cannot be used.

    Args:
        file: its path below the bank.
        message: one line.
        invariant: the one of FORMAT.md that the file breaks, such as "I4".
        hint: the next command to type or thing to do.
        slug: of the error that reading it raises.
        exit_code: of that error.
    """

    file: str
    message: str
    invariant: str
    hint: str
    slug: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found; the bank is whole if there are no problems.

    Args:
        problems: files that cannot be used.
        hints: what does no harm, with the command that cleans it up.
        tasks: number of whole task files.
    """

    problems: tuple[Problem, ...]
    hints: tuple[str, ...]
    tasks: int


def problem_of(error: BankError, file: str, bank: Place, record: BankRecord | None) -> Problem:
    """Turn the error from reading a file into a problem.

    Args:
        error: what was raised; if it cites no invariant, the file could not be read.
        file: its path below the bank.
        bank: the bank's folder.
        record: what bank.json says; None if it cannot be read.
    """
    hint = error.hint
    if isinstance(error, DamagedError | OtherBaseError) and error.invariant != _PARENTS:
        hint = _way_out(file, bank, record)
    invariant = error.invariant or _UNREADABLE
    return Problem(file, error.message, invariant, hint, error.slug, error.exit_code)


def _way_out(file: str, bank: Place, record: BankRecord | None) -> str:
    option = f"--bank {shlex.quote(str(bank))}"
    if file == BANK_FILE:
        again = f"supsup init-base {option} with the options the bank was made with"
        if not (bank / BANK_FILE).exists():
            return f"run {again}: it writes what is missing"
        return f"restore it from a copy, or move it out of the bank and run {again}"
    if record is None:
        return f"repair {BANK_FILE} first"
    if file == BASE_FILE and not can_regenerate(record):
        again = f"{init_command(record)} {option}"
        if not (bank / BASE_FILE).exists():
            return f"restore it from a copy, or run {again}"
        return f"restore it from a copy, or move it out of the bank and run {again}"
    return f"supsup verify --repair {option}"
