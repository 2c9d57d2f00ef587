"""Learn several tasks at once: by processes on a CPU, in one program on a GPU."""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from bank_format.errors import LockedError
from supsup_cli.workflows.learning.batched import fits_together, learn_together
from supsup_cli.workflows.learning.plan import Plan
from supsup_cli.workflows.learning.session import LearnSession
from supsup_cli.workflows.learning.workers import Message, Tell, Workers, WorkerStop
from supsup_cli.workflows.reporting import Advance, Silent
from supsup_cli.workflows.results.common import FailedInput

# With up to so many masked weights, two tasks on one thread each are faster than one after the
# other on two threads: LeNet has 315 thousand, FC 1024-1024 has 2.4 million.
_SMALL = 1 << 22
_TELL_EVERY = 0.2  # seconds


def side_by_side(session: LearnSession) -> bool:
    """Return whether to learn tasks side by side: they are small, and none needs another.

    It depends only on the request, not on what is left of it or on the machine's cores. Each such
    task is learned on one thread, so that its content is the same however many are learned at once.
    """
    net, alone = session.net, not session.looks_at_others
    small = sum(one.count for one in net.bank.record.masked) <= _SMALL
    return len(session.plans) > 1 and alone and small and net.device.type == "cpu"


@contextmanager
def places(
    session: LearnSession, left: Sequence[Plan], in_one_program: bool | None = None
) -> Iterator[Callable[[Advance], None]]:
    """Make the workers: as many as torch has threads, if tasks are learned side by side.

    Workers are forked here, before a thread starts drawing a progress bar.

    Args:
        session: of all requested tasks.
        left: tasks to learn.
        in_one_program: whether tasks that fit together share a program, see `batched`; None means
            on a GPU.

    Yields:
        a function that learns all that is left, given a function that counts steps.
    """
    if session.looks_at_others and session.ranks.rank:  # only rank 0 learns
        session.left_over(left)
    on_gpu = session.net.device.type == "cuda"
    if (on_gpu if in_one_program is None else in_one_program) and fits_together(session):
        yield lambda advance: _in_turn(session, learn_together(session, left, advance), advance)
        return
    if not side_by_side(session):
        yield lambda advance: _in_turn(session, left, advance)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # On other systems, libraries do not allow computing in a fork.
    count = min(threads, len(left)) if sys.platform == "linux" else 1
    workers = Workers(count, _work(session, left)) if count > 1 else None
    try:
        if workers is None:
            yield lambda advance: _in_turn(session, left, advance)
        else:
            session.reporter.note(f"{count} tasks at a time, one thread each")
            yield lambda advance: _at_once(session, left, advance, workers)
    finally:
        if workers is not None:
            workers.close()
        torch.set_num_threads(threads)


def _in_turn(session: LearnSession, left: Sequence[Plan], advance: Advance) -> None:
    elsewhere = [plan for plan in left if not session.learn(plan, advance)]
    for plan in session.left_over(elsewhere):
        session.learn_or_refuse(plan, advance)


def _at_once(
    session: LearnSession, left: Sequence[Plan], advance: Advance, workers: Workers
) -> None:
    """Hand the plans to the workers; what they could not do is done here, which reports why.

    Raises:
        KeyboardInterrupt: it was stopped; the message says how far the tasks got.
    """
    failed: list[Plan] = []
    how_far: list[str] = []
    with session.stop.steps():
        for number, message in workers.run(
            range(len(left)), lambda: session.stop.asked or bool(failed)
        ):
            plan = left[number]
            if message.get("end") is False:
                failed.append(plan)
            elif "stopped" in message:
                how_far.append(str(message["stopped"]))
            else:
                _take(session, plan, message, advance)
        if session.stop.asked:
            raise KeyboardInterrupt("; ".join(part for part in how_far if part))
    others = [plan for plan in left if plan.task not in session.done and plan not in failed]
    _in_turn(session, [*failed, *others], advance)


def _take(session: LearnSession, plan: Plan, message: Message, advance: Advance) -> None:
    """Handle a worker's message about a plan."""
    if isinstance(steps := message.get("steps"), int):
        advance(steps)
    if isinstance(note := message.get("note"), str):
        session.reporter.note(note)
    if isinstance(broken := message.get("broken"), list):
        failed = [FailedInput(str(source), str(error)) for source, error in broken]
        session.failed[plan.task] = failed
    if message.get("status") == "learned":
        session.learned(session.net.bank.read_task(plan.task))
    elif message.get("status") == "exists":
        session.found(session.net.bank.read_task(plan.task))


def _work(session: LearnSession, left: Sequence[Plan]) -> Callable[[int, Tell, WorkerStop], None]:
    """Make the function by which a worker handles a plan's number."""

    def work(number: int, tell: Tell, stop: WorkerStop) -> None:
        plan = left[number]
        steps = _Steps(tell)
        told = _NotesToParent(tell)
        here = dataclasses.replace(
            session, reporter=told, stop=stop, done={}, failed={}, index=None
        )
        try:
            here.learn_or_refuse(plan, steps)
        except LockedError:
            tell({"note": f"task {plan.task}: another process learns it; its turn is last"})
        except KeyboardInterrupt as interrupt:
            tell({"stopped": str(interrupt)})
        steps.tell()
        broken = [(one.source, one.error) for one in here.failed.get(plan.task, ())]
        status = here.done[plan.task].status if plan.task in here.done else ""
        tell({"status": status, "broken": broken})

    return work


class _Steps:
    """Counts steps and reports them regularly."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._taken = 0
        self._told = time.monotonic()

    def __call__(self, steps: int) -> None:
        self._taken += steps
        if time.monotonic() > self._told + _TELL_EVERY:
            self.tell()

    def tell(self) -> None:
        """Report the progress made since the last report."""
        self._tell({"steps": self._taken})
        self._taken, self._told = 0, time.monotonic()


class _NotesToParent(Silent):
    """A reporter that sends its notes to the parent."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def note(self, text: str) -> None:
        """Send the line."""
        self._tell({"note": text})
