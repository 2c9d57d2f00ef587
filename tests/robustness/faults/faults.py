"""Commands run in forked children in which one system call goes wrong.

A child inherits all that its parent has imported, so a case takes milliseconds. In the child, all
functions of `system_calls` count their calls, and the planned call fails.
"""

import contextlib
import errno
import io
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from bank_format.disk import system_calls
from supsup_cli.cli import main


class Fault(Enum):
    """What goes wrong in a call."""

    KILL_BEFORE = "killed before it"
    KILL_AFTER = "killed after it"
    KILL_HALF_WRITTEN = "killed with half of the bytes written"
    NO_SPACE = "ENOSPC"
    IO_ERROR = "EIO"
    INTERRUPTED = "EINTR"
    LOST_REPLY = "done, but reported as EIO"
    SHORT_WRITE = "half of the bytes written"

    def fits(self, call: str) -> bool:
        """Return whether the fault can befall a call."""
        return call == "write" or self not in (Fault.KILL_HALF_WRITTEN, Fault.SHORT_WRITE)

    @property
    def kills(self) -> bool:
        """Return whether the process ends because of it."""
        return self.name.startswith("KILL")


_ERRORS = {
    Fault.NO_SPACE: errno.ENOSPC,
    Fault.IO_ERROR: errno.EIO,
    Fault.LOST_REPLY: errno.EIO,
    Fault.INTERRUPTED: errno.EINTR,
}


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, or None if it was killed; what it printed; its calls."""

    code: int | None
    out: str = ""
    err: str = ""
    calls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The fault that happens in the call of a given number, counted from 0."""

    at: int
    fault: Fault


Action = Callable[[], int]


def failing(code: int) -> Callable[..., None]:
    """Make a function that always fails with an error of the system."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@contextlib.contextmanager
def fast_folder() -> Iterator[Path]:
    """Make a folder in memory if possible: the faults are simulated, so no disk is needed."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


def command(*words: object) -> Action:
    """Turn a command line into an action."""
    return lambda: main([str(word) for word in words])


def run_in_child(action: Action, plan: Plan | None = None) -> Ended:
    """Run an action in a forked child, with a fault if one is planned."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _run_and_report(action, plan, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return Ended(None)
    assert code == 0, (code, said)
    report = json.loads(said)
    return Ended(report["code"], report["out"], report["err"], tuple(report["calls"]))


def _run_and_report(action: Action, plan: Plan | None, pipe: int) -> None:
    """Never returns: the parent, not the child, does what pytest would do."""
    out, err, calls = io.StringIO(), io.StringIO(), list[str]()
    try:
        _put_in(calls, plan)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = action()
        report = {"code": code, "out": out.getvalue(), "err": err.getvalue(), "calls": calls}
        os.write(pipe, json.dumps(report).encode())
        os._exit(0)
    except BaseException as error:
        os.write(pipe, repr(error).encode())
    finally:
        os._exit(1)


def _put_in(calls: list[str], plan: Plan | None) -> None:
    for name in system_calls.__all__:
        setattr(system_calls, name, _failing(name, getattr(system_calls, name), calls, plan))


def _failing(
    name: str, whole: Callable[..., Any], calls: list[str], plan: Plan | None
) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        calls.append(name)
        if plan is None or len(calls) - 1 != plan.at:
            return whole(*arguments)
        if plan.fault is Fault.SHORT_WRITE:
            return whole(*_halved(arguments))
        try:
            if plan.fault is Fault.KILL_HALF_WRITTEN:
                whole(*_halved(arguments))
            elif plan.fault in (Fault.KILL_AFTER, Fault.LOST_REPLY):
                whole(*arguments)
        finally:
            if plan.fault.kills:
                os.kill(os.getpid(), signal.SIGKILL)
        code = _ERRORS[plan.fault]
        raise OSError(code, os.strerror(code), *filter(_is_path, arguments[:1]))

    return call


def _halved(arguments: tuple[int, memoryview]) -> tuple[int, memoryview]:
    descriptor, data = arguments
    return descriptor, data[: (len(data) + 1) // 2]


def _is_path(value: object) -> bool:
    return isinstance(value, Path)
