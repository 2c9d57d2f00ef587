"""`verify`: read every byte of a bank, report every problem, repair what can be repaired."""

from bank_format.bank import Bank
from bank_format.check.repair import RepairReport, repair
from bank_format.check.verify import VerifyReport
from bank_format.check.verify import verify as verify_bank
from bank_format.disk.stores import Place, StorePath
from bank_format.index.writing import update_index
from bank_format.store.layout import BANK_FILE
from supsup_cli.errors import UsageError
from supsup_cli.hints import keep_bank
from supsup_cli.workflows.results.bank import DoneRepair, FoundProblem, VerifyResult


def verify(path: Place, *, mend: bool = False, dry_run: bool = False) -> VerifyResult:
    """Check a bank, and repair it if asked to; damage is data, not an exception.

    Args:
        path: the bank's folder, or its place in an object store.
        mend: repair it.
        dry_run: report what a repair would do, and change nothing.

    Raises:
        UsageError: a dry run without a repair, or a repair in an object store.
        NoBankError: there is no bank.
        StorageError: a repair cannot write; the next repair does the rest.
    """
    if dry_run and not mend:
        raise UsageError("--dry-run without --repair found, expected both or neither")
    if not mend:
        report: VerifyReport = verify_bank(path)
    elif isinstance(path, StorePath):
        raise UsageError(
            f"{path}: a bank in an object store found, --repair expects a folder",
            hint="copy the objects into a folder and repair it, then copy them back",
        )
    else:
        report = repair(path, dry_run=dry_run)
        if not dry_run and all(one.file != BANK_FILE for one in report.problems):
            update_index(Bank.open(path), refresh=True)
    bank = str(path)
    repairs = report.repairs if isinstance(report, RepairReport) else ()
    return VerifyResult(
        ok=not report.problems,
        problems=tuple(
            FoundProblem(
                one.file, one.message, one.exit_code, one.invariant, keep_bank(one.hint, bank)
            )
            for one in report.problems
        ),
        hints=tuple(keep_bank(hint, bank) for hint in report.hints),
        tasks=report.tasks,
        repairs=tuple(DoneRepair(one.file, one.action, one.to, one.message) for one in repairs),
        dry_run=dry_run,
    )
