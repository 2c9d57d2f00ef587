"""`verify`: read every byte of a bank and report every problem."""

from pathlib import Path

from bank_format import verify as bank_verify
from supsup_cli.workflows.results.keeping import FoundProblem, VerifyResult


def verify(path: Path) -> VerifyResult:
    """Check a bank; damage is data, not an exception.

    Raises:
        NoBankError: there is nothing of a bank.
        StorageError: the folder cannot be read.
    """
    report = bank_verify.verify(path)
    return VerifyResult(
        ok=not report.problems,
        problems=tuple(
            FoundProblem(one.file, one.message, one.exit_code) for one in report.problems
        ),
        hints=report.hints,
        tasks=report.tasks,
    )
