"""Jobs side by side: processes of this one, each on a thread of its own.

A worker is a fork, so that it starts at once with the network and the data that are loaded. It
shares nothing afterwards but a pipe, over which both sides send JSON: the numbers of jobs one way,
what the jobs have to tell the other. Whoever dies is noticed by the end of its pipe.
"""

import json
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

# Seconds between two looks for a stop while nothing is told.
_PATIENCE = 0.1
_STOP = signal.SIGTERM
_SIGNALS = {signal.SIGINT, signal.SIGHUP, _STOP}

Message = Mapping[str, object]
Tell = Callable[[Message], None]
Work = Callable[[int, Tell, "WorkerStop"], None]


class WorkerStop:
    """The `Stop` of a worker: its parent asks, or is gone."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._received = False
        for number in _SIGNALS - {_STOP}:
            signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the parent tells
        signal.signal(_STOP, self._receive)

    @property
    def asked(self) -> bool:
        """Whether to stop after this step."""
        return self._received or os.getppid() != self._parent

    def steps(self) -> AbstractContextManager[None]:
        """Let the steps run: nothing but `asked` ever stops them."""
        return nullcontext()

    def _receive(self, _number: int, _frame: object) -> None:
        self._received = True


class Workers:
    """Worker processes that take jobs until there are none, or they are asked to stop.

    Args:
        count: how many.
        work: does a job of a number, and tells of it; what it raises ends the worker.
    """

    def __init__(self, count: int, work: Work) -> None:
        self._workers: dict[Connection, BaseProcess] = {}
        for _ in range(count):
            self._start(work)

    def run(
        self, jobs: Iterable[int], stopped: Callable[[], bool]
    ) -> Iterator[tuple[int, Message]]:
        """Hand out the jobs in order; yield the workers' reports until all jobs have ended.

        Args:
            jobs: their numbers.
            stopped: whether no more jobs shall be begun, and those that run shall stop.

        Yields:
            a job's number, and a message of it; the last one of each has "end": true if its work
            was done, false if the worker is gone without having said so.
        """
        left = deque(jobs)
        busy: dict[Connection, int] = {}
        told = False
        while True:
            if stopped() and not told:
                left.clear()
                told = True
                for worker in self._workers.values():
                    worker.terminate()  # a worker takes that for a wish
            for pipe in [one for one in self._workers if one not in busy]:
                if left:
                    with suppress(OSError):  # it is gone; the end of its pipe says so
                        pipe.send_bytes(b"%d" % left[0])
                    busy[pipe] = left.popleft()
            if not busy:
                return
            for pipe in [one for one in wait(list(busy), _PATIENCE) if isinstance(one, Connection)]:
                try:
                    message = json.loads(pipe.recv_bytes())
                except (EOFError, OSError):
                    yield busy.pop(pipe), {"end": False}
                    self._forget(pipe)
                    continue
                yield busy.pop(pipe) if "end" in message else busy[pipe], message

    def close(self) -> None:
        """End all workers, at once where they are still at work."""
        for worker in self._workers.values():
            worker.kill()
        for pipe in list(self._workers):
            self._forget(pipe)

    def _start(self, work: Work) -> None:
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        arguments = (theirs, (ours, *self._workers), work, os.getpid())
        worker = fork.Process(target=_serve, args=arguments, daemon=True)
        # A signal between the fork and the worker's own handlers would run the parent's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        worker.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._workers[ours] = worker

    def _forget(self, pipe: Connection) -> None:
        pipe.close()
        self._workers.pop(pipe).join()


def _serve(pipe: Connection, others: Iterable[Connection], work: Work, parent: int) -> None:
    """Take jobs from the pipe until it ends; whatever goes wrong, the parent finds out why."""
    with suppress(BaseException):
        stop = WorkerStop(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for one in others:
            one.close()
        torch.set_num_threads(1)

        def tell(message: Message) -> None:
            pipe.send_bytes(json.dumps(message).encode())

        while True:
            work(int(pipe.recv_bytes()), tell, stop)
            tell({"end": True})
