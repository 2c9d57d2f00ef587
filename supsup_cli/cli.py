"""The command line: all commands together, behind one error boundary."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from supsup_cli import __version__
from supsup_cli.boundary import run
from supsup_cli.commands import (
    bank,
    compare,
    data,
    hopfield,
    inference,
    learning,
    streams,
    tasks,
)

app = typer.Typer(
    name="supsup",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A persistent bank of supermasks: one frozen network, one binary mask per task.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"supsup {__version__}")
        raise typer.Exit


@app.callback()
def _supsup(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


for _group in (
    learning.app,
    streams.app,
    inference.app,
    hopfield.app,
    compare.app,
    bank.app,
    tasks.app,
):
    app.add_typer(_group)
app.add_typer(data.app, name="data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run(app, list(sys.argv[1:] if arguments is None else arguments))
