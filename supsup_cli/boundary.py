"""The one error boundary: whatever ends a command becomes one line, or one document, and a code."""

from collections.abc import Mapping, Sequence

import typer

from bank_format.errors import BankError
from supsup_cli.errors import StoppedError, SupsupError
from supsup_cli.hints import bank_of, keep_bank
from supsup_cli.output import flush_stdout, report_error
from supsup_cli.stop_signals import StopSignals, stop_signals

_INTERRUPTED = (
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
        return _run(app, words, stop)


def _run(app: typer.Typer, words: Sequence[str], stop: StopSignals) -> int:
    as_json = "--json" in words or "--json-lines" in words
    debug = "--debug" in words
    beside: Mapping[str, object] = {}
    try:
        code = _code(app, words)
        flush_stdout()
    except (BankError, SupsupError) as error:
        hint = error.hint or (_help_command(words) if error.exit_code == 2 else "")
        problem = (error.message, hint, error.slug, error.exit_code)
        if isinstance(error, StoppedError):
            beside = error.beside
    except typer.TyperException as error:
        if not error.format_message():
            return error.exit_code  # no command was given, and Typer has printed the help
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path if context else 'supsup'} --help"
        problem = (error.format_message(), hint, "usage", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        problem = _INTERRUPTED
    except OSError as error:  # of a file that no one else named, or of stdout under Typer's help
        if debug:
            raise
        name = error.filename or "input or output"
        hint = "check the disk and the permissions, and type the command again"
        problem = (f"{name}: {error.strerror or error}", hint, "storage", 13)
    except Exception as error:
        if debug:
            raise
        problem = _unexpected(error)
        if stop.asked:  # some libraries turn an interrupted import into an error of their own
            problem = _INTERRUPTED
    else:
        if code != 130:
            return int(code or 0)
        problem = _INTERRUPTED
    message, hint, slug, exit_code = problem
    hint = keep_bank(hint, bank_of(words))
    report_error(message, hint, slug=slug, exit_code=exit_code, as_json=as_json, beside=beside)
    return exit_code


def _code(app: typer.Typer, words: Sequence[str]) -> int | None:
    """Run the command; a reader of a pipe that has gone, such as `head`, has seen enough."""
    try:
        code: int | None = app(args=list(words), prog_name="supsup", standalone_mode=False)
    except SystemExit as end:  # of Typer's help and its echo
        if isinstance(end.__context__, BrokenPipeError):
            return 0
        raise
    return code


def _unexpected(error: Exception) -> tuple[str, str, str, int]:
    if isinstance(error, MemoryError):
        hint = "give fewer images at once (--limit), or smaller ones (--max-pixels)"
        return f"not enough memory: {str(error) or 'none left'}", hint, "memory", 13
    hint = "run it again with --debug and report the traceback"
    return f"{type(error).__name__}: {error}", hint, "unexpected", 1


def _help_command(words: Sequence[str]) -> str:
    """Name the help of what was typed; `data` and `tasks` have commands of their own."""
    nested = words[0] in ("data", "tasks") and len(words) > 1 and not words[1].startswith("-")
    return " ".join(("supsup", *words[: 2 if nested else 1], "--help"))
