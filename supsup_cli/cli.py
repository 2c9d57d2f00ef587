"""The command line: all commands together, behind one error boundary."""

import os
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
from supsup_cli.options import DEFAULT_BANK

app = typer.Typer(
    name="supsup",
    pretty_exceptions_enable=False,
    help="A persistent bank of supermasks: one frozen network, one binary mask per task.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"supsup {__version__}")
        raise typer.Exit


_FIRST_COMMANDS = """\
There is no bank here yet. Three commands to begin with:
  supsup init-base                              # draw a network and freeze it
  supsup learn-task --data mnist-perm-0..1      # or a folder with one folder per class
  supsup predict --data mnist-perm-1 --limit 5  # or images and folders of them"""


@app.callback(invoke_without_command=True)
def _supsup(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)  # Rich has printed it, and returns nothing
        if not (os.environ.get("SUPSUP_BANK") or (DEFAULT_BANK / "bank.json").exists()):
            typer.echo(_FIRST_COMMANDS)
        raise typer.Exit(2)


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
