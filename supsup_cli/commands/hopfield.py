"""Attractors: `encode-hopfield`."""

from typing import Annotated

import typer

from supsup_cli.commands.answering import Work, answering
from supsup_cli.data.reading import Reading
from supsup_cli.options import (
    DEFAULT_BANK,
    BankOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    LimitOption,
    SeedOption,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command("encode-hopfield")
@answering
def encode_hopfield(
    bank: BankOption = DEFAULT_BANK,
    rule: Annotated[str, typer.Option(help="storkey or hebbian.")] = "storkey",
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
