"""The one error boundary: every error becomes one line, or one document, and an exit code."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import typer

from bank_format.errors import BankError
from supsup_cli.errors import RankFailedError, StoppedError, SupsupError
from supsup_cli.hints import bank_of, keep_bank
from supsup_cli.output import flush_stdout, report_error
from supsup_cli.stop_signals import StopSignals, stop_signals
from supsup_cli.torchrun.place import Place, place

# Ranks that fail before they have met fail in the same way. torchrun ends all others as soon as one
# exits, so they let rank 0 exit first.
_PATIENCE = 3.0  # seconds


@dataclass(frozen=True)
class Problem:
    """What ended a command, as it is reported; `beside` holds further keys of the document."""

    message: str
    hint: str
    slug: str
    exit_code: int
    beside: Mapping[str, object] = field(default_factory=dict)


_INTERRUPTED = Problem(
    "interrupted; every task finished before is kept",
    "type the same command again: it does what is left",
    "interrupted",
    130,
)


def run(app: typer.Typer, words: Sequence[str]) -> int:
    """Run one command.

    Args:
        app: the commands.
        words: what was typed after the program's name.

    Returns:
        the exit code.
    """
    with stop_signals() as stop:
        among = place()
        if among is None or among.rank == 0:
            return _run(app, words, stop, among)
        with Path("/dev/null").open("w") as nowhere:
            printed, sys.stdout = sys.stdout, nowhere
            try:
                return _run(app, words, stop, among, lambda: setattr(sys, "stdout", printed))
            finally:
                sys.stdout = printed


def _run(
    app: typer.Typer,
    words: Sequence[str],
    stop: StopSignals,
    among: Place | None,
    speak: Callable[[], None] = lambda: None,
) -> int:
    """Run one command; `speak` lets an otherwise silent rank print."""
    try:
        code = _code(app, words)
        flush_stdout()
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, typer.TyperException) and not error.format_message():
            return error.exit_code  # no command was given, and Typer has printed the help
        if "--debug" in words and _is_unnamed(error):
            raise
        problem = problem_of(error, words, stop)
        silent = among is not None and among.rank > 0 and not isinstance(error, RankFailedError)
    else:
        if code != 130:
            return int(code or 0)
        problem, silent = _INTERRUPTED, among is not None and among.rank > 0
    if among is not None and problem is _INTERRUPTED:
        problem = replace(problem, hint=f"{problem.hint}; if a rank died, torchrun names it")
    if silent:
        if not stop.asked:
            _wait_for_signal()
        return problem.exit_code
    speak()
    report_error(
        problem.message,
        keep_bank(problem.hint, bank_of(words)),
        slug=problem.slug,
        exit_code=problem.exit_code,
        as_json="--json" in words or "--json-lines" in words,
        beside=problem.beside
        if among is None
        else {**problem.beside, "exit_code": problem.exit_code},
    )
    return problem.exit_code


def _code(app: typer.Typer, words: Sequence[str]) -> int | None:
    """Run the command; it is no error if the reader of a pipe, such as `head`, has ended."""
    try:
        code: int | None = app(args=list(words), prog_name="supsup", standalone_mode=False)
    except SystemExit as end:  # from Typer's help and its echo
        if isinstance(end.__context__, BrokenPipeError):
            return 0
        raise
    return code


def problem_of(error: BaseException, words: Sequence[str], stop: StopSignals) -> Problem:
    """Translate an exception for whoever typed the command.

    Args:
        error: what ended it.
        words: what was typed after the program's name; empty if no help should be named.
        stop: whether a signal came meanwhile.
    """
    if isinstance(error, BankError | SupsupError):
        hint = error.hint or (_help_command(words) if words and error.exit_code == 2 else "")
        beside = error.beside if isinstance(error, StoppedError | RankFailedError) else {}
        return Problem(error.message, hint, error.slug, error.exit_code, beside)
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path if context else 'supsup'} --help"
        return Problem(error.format_message(), hint, "usage", error.exit_code)
    if isinstance(error, OSError):  # about a file or stdout that nothing else named
        name = error.filename or "input or output"
        hint = "check the disk and the permissions, and type the command again"
        return Problem(f"{name}: {error.strerror or error}", hint, "storage", 13)
    # Some libraries turn an interrupted import into an error of their own.
    if stop.asked or isinstance(error, KeyboardInterrupt | typer.Abort):
        return _INTERRUPTED
    return _unexpected(error)


def _unexpected(error: BaseException) -> Problem:
    if isinstance(error, MemoryError):
        hint = "give fewer images at once (--limit), or smaller ones (--max-pixels)"
        return Problem(f"not enough memory: {str(error) or 'none left'}", hint, "memory", 13)
    hint = "run it again with --debug and report the traceback"
    return Problem(f"{type(error).__name__}: {error}", hint, "unexpected", 1)


def _is_unnamed(error: BaseException) -> bool:
    """Return whether an exception has no message of its own, so that its traceback helps most."""
    named = BankError | SupsupError | typer.TyperException | KeyboardInterrupt | typer.Abort
    return not isinstance(error, named)


def _wait_for_signal() -> None:
    """Wait for a while until a signal comes."""
    try:
        time.sleep(_PATIENCE)
    except KeyboardInterrupt:
        return


def _help_command(words: Sequence[str]) -> str:
    """Name the help of what was typed; `data` and `tasks` have commands of their own."""
    nested = words[0] in ("data", "tasks") and len(words) > 1 and not words[1].startswith("-")
    return " ".join(("supsup", *words[: 2 if nested else 1], "--help"))
