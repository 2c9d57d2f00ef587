"""Keep the bank: `stats`, `verify` and `doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from supsup_cli.commands.answering import Work, answering
from supsup_cli.options import (
    DEFAULT_BANK,
    BankOption,
    DeviceOption,
    DryRunOption,
    ReadBankOption,
    VerifiedBankOption,
    examples,
    file_option,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command(epilog=examples("supsup stats", "supsup stats --overlaps --plot overlaps.png"))
@answering
def stats(
    bank: ReadBankOption = DEFAULT_BANK,
    overlaps: Annotated[
        bool, typer.Option("--overlaps", help="Compare every pair of masks.")
    ] = False,
    plot: Annotated[
        Path | None, file_option("Draw how much the masks overlap.", "FILE.png")
    ] = None,
) -> Work:
    """Count the bank's tasks, bits and bytes; compare other ways to keep as many tasks."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.bank import stats as workflow

        return workflow.stats(bank, overlaps=overlaps, plot=plot)

    return work


@app.command(epilog=examples("supsup verify", "supsup verify --repair --dry-run"))
@answering
def verify(
    bank: VerifiedBankOption = DEFAULT_BANK,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Set damaged files aside, make derived ones again, delete nothing.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
) -> Work:
    """Read every byte of the bank and report every problem."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.bank import verify as workflow

        return workflow.verify(bank, mend=repair, dry_run=dry_run)

    return work


@app.command(epilog=examples("supsup doctor", "supsup doctor --device cpu"))
@answering
def doctor(
    bank: BankOption = DEFAULT_BANK,
    device: DeviceOption = "auto",
) -> Work:
    """Check versions, devices, the file system of the bank or folder, and a self-test."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.bank import doctor as workflow

        return workflow.doctor(bank, device)

    return work
