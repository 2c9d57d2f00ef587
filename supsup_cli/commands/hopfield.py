"""Attractors: `encode-hopfield`."""

from typing import Annotated

import typer

from supsup_cli.choices import HOPFIELD_RULES
from supsup_cli.commands.answering import Work, answering
from supsup_cli.data.reading import Reading
from supsup_cli.options import (
    DEFAULT_BANK,
    LEARNING,
    BankOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    LimitOption,
    SeedOption,
    choice,
    examples,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command(
    "encode-hopfield",
    epilog=examples(
        "supsup encode-hopfield --bank units.bank",
        "supsup encode-hopfield --bank units.bank --verify --limit 64",
    ),
)
@answering
def encode_hopfield(
    bank: BankOption = DEFAULT_BANK,
    rule: Annotated[
        str, choice("--rule", HOPFIELD_RULES, "How masks are added up", LEARNING)
    ] = "storkey",
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Recall every mask from its data and corrupted copies."),
    ] = False,
    limit: LimitOption = None,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
) -> Work:
    """Store all unit masks as attractors of matrices that never grow (HopSupSup)."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows.hopfield import encode_hopfield as workflow

        reading = Reading(root=data_root, download=download)
        request = workflow.EncodeRequest(rule, verify, limit, seed, device, reading)
        return workflow.encode_hopfield(bank, request, terminal)

    return work
