"""Run jobs side by side in child processes, each with one thread.

A worker is a fork, so that it starts at once with the loaded network and data. Afterwards it shares
only a pipe, over which both sides send JSON: job numbers one way, messages the other. If a process
dies, its pipe ends.
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

# Seconds between two checks for a stop while there are no messages.
_PATIENCE = 0.1
_STOP = signal.SIGTERM
_SIGNALS = {signal.SIGINT, signal.SIGHUP, _STOP}

Message = Mapping[str, object]
Tell = Callable[[Message], None]
Work = Callable[[int, Tell, "WorkerStop"], None]


class WorkerStop:
    """The `Stop` of a worker: its parent asks, or has ended."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._received = False
        for number in _SIGNALS - {_STOP}:
            signal.signal(number, signal.SIG_IGN)  # the parent passes these on
        signal.signal(_STOP, self._receive)

    @property
    def asked(self) -> bool:
        """Whether to stop after this step."""
        return self._received or os.getppid() != self._parent

    def steps(self) -> AbstractContextManager[None]:
        """Let the steps run; only `asked` stops them."""
        return nullcontext()

    def _receive(self, _number: int, _frame: object) -> None:
        self._received = True


class Workers:
    """Worker processes that take jobs until there are none left or a stop is asked for.

    Args:
        count: number of workers.
        work: does the job with a number and sends messages; an exception ends the worker.
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
            stopped: whether to start no more jobs, and to stop the running ones.

        Yields:
            a job's number and a message; the last message of each has "end": true if its work was
            done, false if the worker ended without saying so.
        """
        left = deque(jobs)
        busy: dict[Connection, int] = {}
        told = False
        while True:
            if stopped() and not told:
                left.clear()
                told = True
                for worker in self._workers.values():
                    worker.terminate()  # a worker takes that as a wish to stop
            for pipe in [one for one in self._workers if one not in busy]:
                if left:
                    with suppress(OSError):  # it has ended, as the end of its pipe shows
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
        """End all workers, by force if they are still working."""
        for worker in self._workers.values():
            worker.kill()
        for pipe in list(self._workers):
            self._forget(pipe)

    def _start(self, work: Work) -> None:
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        arguments = (theirs, (ours, *self._workers), work, os.getpid())
        worker = fork.Process(target=_serve, args=arguments, daemon=True)
        # A signal between the fork and the worker's own handlers would run the parent's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        worker.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._workers[ours] = worker

    def _forget(self, pipe: Connection) -> None:
        pipe.close()
        self._workers.pop(pipe).join()


def _serve(pipe: Connection, others: Iterable[Connection], work: Work, parent: int) -> None:
    """Take jobs from the pipe until it ends; the parent finds out why a job failed."""
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
