"""The only place that prints: answers on stdout, everything else on stderr."""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, TextIO

from supsup_cli.errors import StorageError, UsageError
from supsup_cli.printable import printable
from supsup_cli.standard_streams import ClosedStdout, takes_styles, terminal_width
from supsup_cli.workflows.reporting import Advance
from supsup_cli.workflows.results.common import LeftOutTask, Result

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.progress import ProgressColumn

_LONGEST_ANSWER = 100  # characters
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


class ReaderGoneError(Exception):
    """The reader of the answers has ended, so there is nothing left to do."""


class Terminal:
    """Prints one command's progress, notes and answer; the reporter of every workflow."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet

    def note(self, text: str) -> None:
        """Print one line on stderr, unless asked to be quiet."""
        if not self._quiet:
            _tell(f"supsup: {text}")

    def confirm(self, question: str, *, hint: str) -> None:
        """Ask before doing something that cannot be undone.

        Args:
            question: what is about to be done.
            hint: the command that does not ask.

        Raises:
            UsageError: the answer is not yes, or there is no terminal to ask on.
        """
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"{question}: no terminal to ask on, expected --yes", hint=hint)
        print(f"supsup: {printable(question)}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline(_LONGEST_ANSWER).strip().lower() not in ("y", "yes"):
            raise UsageError(f"{question}: not confirmed; nothing was changed", hint=hint)

    @contextmanager
    def track(self, description: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Show a bar on stderr with the rate and the remaining time, if stderr is a terminal.

        Args:
            description: what is being done.
            total: number of units; None if unknown.
            unit: what is counted.
        """
        if self._quiet or not sys.stderr.isatty():
            yield lambda _done: None
            return
        from rich.markup import escape
        from rich.progress import Progress

        with Progress(*_columns(total, unit), console=_console(sys.stderr), transient=True) as bar:
            job = bar.add_task(escape(printable(description)), total=total)
            yield lambda done: bar.advance(job, done)

    def answer(self, result: Result, exit_code: int | None = None) -> None:
        """Print a result: one JSON document, or text for people.

        Args:
            result: what was done.
            exit_code: for the document, if the process cannot end with it; else None.

        Raises:
            StorageError: stdout cannot be written.
        """
        more = {} if exit_code is None else {"exit_code": exit_code}
        with _writing_stdout():
            if self._as_json:
                _print_json({"ok": True, **_members(result), **more})
            else:
                _print_text(result)
        if exit_code and not self._as_json:
            self.withheld(exit_code)

    def withheld(self, exit_code: int) -> None:
        """Note the exit code that the process cannot end with; see `commands.answering`."""
        self.note(f"this would end with {exit_code} without torchrun")

    def left_out(self, tasks: Sequence[LeftOutTask]) -> None:
        """Name tasks that a stream of answers had to do without, if no note could."""
        for one in tasks if self._quiet else ():
            _tell(f"supsup: {one.told}")

    def line(self, answer: "DataclassInstance") -> None:
        """Print one answer of a stream at once, as a JSON object on its own line.

        Raises:
            StorageError: stdout cannot be written.
            ReaderGoneError: the reader has ended.
        """
        with _writing_stdout(told=True):
            _print_json(_members(answer))


def flush_stdout() -> None:
    """Write the rest of the buffer while an error can still be reported.

    Raises:
        StorageError: stdout cannot be written.
    """
    with _writing_stdout():
        pass


def report_error(
    message: str,
    hint: str,
    *,
    slug: str,
    exit_code: int,
    as_json: bool,
    beside: Mapping[str, object],
) -> None:
    """Print an error: one JSON document on stdout, else one line and a hint on stderr.

    Args:
        message: one line.
        hint: what to type next, or empty.
        slug: the error's name in the document.
        exit_code: its number there.
        as_json: whether a document was asked for.
        beside: further keys of the document: what was done before the error.
    """
    with suppress(StorageError):
        flush_stdout()
    if as_json:
        error = {"code": slug, "exit": exit_code, "message": message, "hint": hint}
        with suppress(StorageError), _writing_stdout():
            _print_json({"ok": False, "error": error, **beside})
            return
    _tell(f"supsup: {message}")
    if hint:
        _tell(f"  hint: {hint}")


def _tell(line: str) -> None:
    """Print a line on stderr, even if its reader has ended."""
    try:
        print(printable(line), file=sys.stderr, flush=True)
    except OSError:
        _let_go(sys.stderr)


@contextmanager
def _writing_stdout(*, told: bool = False) -> Iterator[None]:
    """Write to stdout and flush it; it is no error if the reader, such as `head`, has ended.

    Args:
        told: whether the caller wants to know that, because it has more to write.

    Raises:
        StorageError: stdout cannot be written.
        ReaderGoneError: the reader has ended, and `told` is true.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go(sys.stdout)
        if told:
            raise ReaderGoneError from None
    except OSError as error:
        _let_go(sys.stdout)
        raise StorageError(
            f"standard output: cannot be written ({error.strerror})",
            hint="free some space where the output goes, and type the command again",
        ) from error


def _print_json(document: dict[str, object]) -> None:
    if isinstance(sys.stdout, ClosedStdout):
        raise StorageError(
            "standard output: closed, and the document that --json asks for is lost",
            hint="type the command again with a standard output: what is done stays done",
        )
    # Lone surrogates of file names that are not UTF-8 survive as escapes in ASCII.
    # DEL is ASCII but controls terminals; it can only be inside texts, where it may be escaped.
    text = json.dumps(document, allow_nan=False, default=_members)
    print(text.replace("\x7f", "\\u007f"))


def _members(answer: "DataclassInstance") -> dict[str, object]:
    """Return an answer's members by name; the encoder asks again for those within."""
    names, members = _names(type(answer)), getattr(answer, "__dict__", {})
    # A list of 100,000 tasks is printed without 100,000 copies.
    if len(members) == len(names):
        return members
    return {name: getattr(answer, name) for name in names}


@cache
def _names(kind: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _print_text(result: Result) -> None:
    from supsup_cli import tables

    for part in tables.lines(result):
        if isinstance(part, str):
            print(printable(part))
            continue
        head, *rows = tables.laid_out(part, terminal_width(sys.stdout))
        print(f"{_BOLD}{head}{_PLAIN}" if takes_styles(sys.stdout) else head)
        for line in rows:
            print(line)


def _let_go(stream: TextIO) -> None:
    """Send the rest of a stream's buffer nowhere.

    It would fail once more when the interpreter ends, which then exits with 120.
    """
    with suppress(OSError):  # a stream without a file of its own keeps nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, markup=False)


def _columns(total: int | None, unit: str) -> "list[ProgressColumn]":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units per second, over the last half minute."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.1f} {unit}/s" if task.speed else f"- {unit}/s")

    if total is None:
        return [TextColumn("{task.description}"), MofNCompleteColumn(), Rate(), TimeElapsedColumn()]
    known = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate()]
    return [*known, TimeRemainingColumn()]
