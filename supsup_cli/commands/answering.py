"""How every command answers."""

from collections.abc import Callable

import typer

from supsup_cli.errors import UsageError
from supsup_cli.output import ReaderGoneError, Terminal
from supsup_cli.workflows.results.common import Result
from supsup_cli.workflows.results.inference import InferResult, LinesResult, PredictResult

_NEW_TASK = 4


def answer(
    work: Callable[[Terminal], Result], *, as_json: bool, quiet: bool, fail_on_new: bool = False
) -> None:
    """Do a command's work, print what it answers and end with its exit code."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    result = work(terminal)
    terminal.answer(result)
    raise typer.Exit(_exit_code(result, fail_on_new=fail_on_new))


def answer_lines(
    work: Callable[[Terminal], LinesResult], *, as_json: bool, quiet: bool, fail_on_new: bool
) -> None:
    """Do a command's work, which prints its answers itself, and end with the exit code.

    Raises:
        UsageError: one document was asked for too.
    """
    if as_json:
        raise UsageError("--json with --json-lines: both found, expected one of the two")
    try:
        result = work(Terminal(as_json=True, quiet=quiet))
    except ReaderGoneError:
        raise typer.Exit(0) from None
    raise typer.Exit(result.exit_code or (_NEW_TASK if fail_on_new and result.new else 0))


def _exit_code(result: Result, *, fail_on_new: bool) -> int:
    """Choose the code of a result: its own unless that is 0, then 4 for a new task if asked for."""
    if not fail_on_new or not isinstance(result, InferResult | PredictResult):
        return result.exit_code
    new = any(one.known is False for one in result.results)
    return result.exit_code or (_NEW_TASK if new else 0)
