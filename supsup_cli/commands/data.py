"""Data: `data list` and `data export`."""

from typing import Annotated

import typer

from supsup_cli.choices import SPLITS
from supsup_cli.commands.answering import Work, answering
from supsup_cli.options import (
    DATA,
    DataRootOption,
    DownloadOption,
    LimitOption,
    SeedOption,
    choice,
    examples,
    usable_path,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

app = typer.Typer(no_args_is_help=True, help="What --data understands, and its images.")


@app.command("list", epilog=examples("supsup data list", "supsup data list --json"))
@answering
def data_list() -> Work:
    """List the names that --data understands."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import data as workflow

        return workflow.data_list()

    return work


@app.command("export", epilog=examples("supsup data export mnist-perm-0 images --limit 20"))
@answering
def data_export(
    name: Annotated[str, typer.Argument(help="A name from data list.")],
    folder: Annotated[
        str,
        typer.Argument(help="Where the images go: FOLDER/CLASS/NNNNN.png.", callback=usable_path),
    ],
    split: Annotated[str, choice("--split", SPLITS, "Which images", DATA)] = "test",
    limit: LimitOption = None,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    seed: SeedOption = 0,
) -> Work:
    """Write images of a data set as files."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows import data as workflow

        reading = Reading(root=data_root, download=download)
        return workflow.data_export(
            name, folder, split=split, limit=limit, seed=seed, reading=reading
        )

    return work
