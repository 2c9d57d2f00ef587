"""How every command answers."""

from collections.abc import Callable

import typer

from supsup_cli.output import Terminal
from supsup_cli.workflows.exit_codes import exit_code
from supsup_cli.workflows.results.common import Result


def answer(
    work: Callable[[Terminal], Result], *, as_json: bool, quiet: bool, fail_on_new: bool = False
) -> None:
    """Do a command's work, print what it answers and end with its exit code."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    result = work(terminal)
    terminal.answer(result)
    raise typer.Exit(exit_code(result, fail_on_new=fail_on_new))
