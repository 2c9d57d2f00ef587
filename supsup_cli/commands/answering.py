"""How every command answers, and the options that all have."""

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer

from supsup_cli.boundary import problem_of
from supsup_cli.errors import PartDeliveredError, RankFailedError, UsageError
from supsup_cli.options import DebugOption, JsonOption, QuietOption
from supsup_cli.output import ReaderGoneError, Terminal
from supsup_cli.stop_signals import stop_signals
from supsup_cli.torchrun.place import Place, place
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import Advance, Reporter, Silent
from supsup_cli.workflows.results.common import Result

_NEW_TASK = 4

if TYPE_CHECKING:
    from supsup_cli.torchrun.group import RankGroup
    from supsup_cli.workflows.results.inference import LinesResult

_LOOK_EVERY = 0.25  # seconds
Work = Callable[[Terminal], Result]


def answering(command: Callable[..., Work]) -> Callable[..., None]:
    """Add --json, --quiet and --debug to a command, run its work and print the result.

    Args:
        command: parses its own options and returns the work to do.
    """

    def with_common(
        as_json: JsonOption = False, quiet: QuietOption = False, debug: DebugOption = False
    ) -> None:
        pass

    @functools.wraps(command)
    def run(*, as_json: bool, quiet: bool, debug: bool, **own: Any) -> None:
        answer(command(**own), as_json=as_json, quiet=quiet)

    signatures = [inspect.signature(one) for one in (command, with_common)]
    parameters = [one for each in signatures for one in each.parameters.values()]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def answer(work: Work, *, as_json: bool, quiet: bool) -> None:
    """Do a command's work, print what it answers and end with its exit code.

    Under torchrun only rank 0 does it.
    """
    among = place()
    if among is not None and among.rank:
        raise typer.Exit(0)
    terminal = Terminal(as_json=as_json, quiet=quiet)
    _finish(terminal, work(terminal), among)


class Together:
    """What the work of a command gets that several ranks may share.

    Attributes:
        reporter: gets the progress of all ranks, and the notes of rank 0 only.
        ranks: who shares the work.
    """

    def __init__(self, reporter: Reporter, group: "RankGroup | None" = None) -> None:
        self.reporter = reporter if group is None else _RankReporter(reporter, group)
        self.ranks: Ranks = ALONE if group is None else group
        self._group = group

    def device(self, name: str) -> str:
        """Choose this rank's device if `name` leaves it open."""
        return name if self._group is None else self._group.device(name)

    def lines(self, words: Sequence[str], stdin: TextIO) -> TextIO:
        """Send every rank the lines that only rank 0 can read, if "-" asks for them."""
        if self._group is None or "-" not in words:
            return stdin
        from supsup_cli.data.sources import read_lines

        return StringIO(self._group.told(lambda: "".join(read_lines(stdin))))


def answer_together(
    work: Callable[[Together], Result], *, as_json: bool, quiet: bool, fail_on_new: bool = False
) -> None:
    """Do a command's work like `answer`; under torchrun all ranks share it."""
    among = place()
    terminal = Terminal(as_json=as_json, quiet=quiet)
    if among is None:
        _finish(terminal, work(Together(terminal)), None, fail_on_new=fail_on_new)
    with _failing_together(among) as group:
        result = work(Together(terminal if among.rank == 0 else Silent(), group))
        _finish(terminal, result, among, fail_on_new=fail_on_new)


def _finish(
    terminal: Terminal, result: Result, among: Place | None, *, fail_on_new: bool = False
) -> NoReturn:
    """Print a result and exit; under torchrun the document has the code, and 0 is returned."""
    code = _exit_code(result, fail_on_new=fail_on_new)
    terminal.answer(result, None if among is None else code)
    raise typer.Exit(code if among is None else 0)


@contextmanager
def _failing_together(among: Place) -> "Iterator[RankGroup]":
    """Join the other ranks; if one of them fails, rank 0 reports it and all end.

    Raises:
        RankFailedError: another rank ended the command, and this one must report it.
        typer.Exit: rank 0 has what this one did.
    """
    from supsup_cli.torchrun.group import Failure, joined

    with joined(among) as group, stop_signals() as stop:
        try:
            yield group
        except PartDeliveredError:
            raise typer.Exit(0) from None
        except (RankFailedError, typer.Exit):
            raise
        except (Exception, KeyboardInterrupt) as error:
            one = problem_of(error, (), stop)
            cause = group.cause() if stop.asked else None
            if cause is not None:
                cause.beside = {**one.beside, **cause.beside}
                raise cause from error
            if among.rank and not stop.asked:
                group.post(Failure(one.message, one.hint, one.slug, one.exit_code, one.beside))
            raise


class _RankReporter:
    """A reporter that counts what all ranks do, and regularly checks whether one failed."""

    def __init__(self, own: Reporter, group: "RankGroup") -> None:
        self._own = own
        self._group = group
        self._looked = 0.0
        self._untold = 0

    def note(self, text: str) -> None:
        """Report one line."""
        self._own.note(text)

    @contextmanager
    def track(self, description: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Follow a long job of all ranks."""
        with self._own.track(description, total, unit) as advance:
            self._group.while_waiting = lambda: self._advance(advance, 0)
            try:
                yield lambda done: self._advance(advance, done)
            finally:
                self._group.while_waiting = lambda: None

    def _advance(self, advance: Advance, done: int) -> None:
        advance(done)
        self._untold += done
        if time.monotonic() < self._looked + _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        self._group.check()
        advance(self._group.count_units(self._untold))
        self._untold = 0


def answer_lines(
    work: "Callable[[Terminal], LinesResult]", *, as_json: bool, quiet: bool, fail_on_new: bool
) -> None:
    """Do a command's work, which prints its own answers, and exit with its code.

    Under torchrun rank 0 does it, and as there is no document, a note has the code.

    Raises:
        UsageError: --json was given too.
    """
    if as_json:
        raise UsageError("--json with --json-lines: both found, expected one of the two")
    among = place()
    if among is not None and among.rank:
        raise typer.Exit(0)
    terminal = Terminal(as_json=True, quiet=quiet)
    try:
        result = work(terminal)
    except ReaderGoneError:
        raise typer.Exit(0) from None
    terminal.left_out(result.left_out)
    code = result.exit_code or (_NEW_TASK if fail_on_new and result.new else 0)
    if code and among is not None:
        terminal.withheld(code)
    raise typer.Exit(code if among is None else 0)


def _exit_code(result: Result, *, fail_on_new: bool) -> int:
    """Choose a result's exit code: its own unless that is 0, then 4 for a new task if asked for."""
    if not fail_on_new:
        return result.exit_code
    from supsup_cli.workflows.results.inference import InferResult, PredictResult

    if not isinstance(result, InferResult | PredictResult):
        return result.exit_code
    new = any(one.known is False for one in result.results)
    return result.exit_code or (_NEW_TASK if new else 0)
