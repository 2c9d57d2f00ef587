"""Jobs side by side: processes of this one, each on a thread of its own.

A worker is a fork, so that it starts at once with the network and the data that are loaded. It
shares nothing afterwards but a socket, over which both sides send lines of JSON: the numbers of
jobs one way, what the jobs have to tell the other. Whoever dies is noticed by the end of its line.
"""

import json
import os
import selectors
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import NoReturn

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
        self._lines: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()
        self._work = work
        for _ in range(count):
            self._start()

    def run(
        self, jobs: Iterable[int], stopped: Callable[[], bool]
    ) -> Iterator[tuple[int, Message]]:
        """Give out the jobs in their order, and yield what is told of each until all have ended.

        Args:
            jobs: their numbers.
            stopped: whether no more jobs shall be begun, and those that run shall stop.

        Yields:
            a job's number, and a message of it; the last one of each has "end": true if its work
            was done, false if the worker is gone without having said so.
        """
        left = deque(jobs)
        busy: dict[socket.socket, int] = {}
        begun: dict[socket.socket, bytes] = dict.fromkeys(self._lines, b"")
        told = False
        while True:
            if stopped() and not told:
                left.clear()
                told = True
                self._signal(_STOP)
            for line in [one for one in self._lines if one not in busy]:
                if left:
                    with suppress(OSError):  # it is gone; the end of its line says so
                        line.sendall(b"%d\n" % left[0])
                    busy[line] = left.popleft()
            if not busy:
                return
            ready = {key.fd for key, _ in self._selector.select(_PATIENCE)}
            for line in [one for one in busy if one.fileno() in ready]:
                data = _received(line)
                if not data:
                    yield busy.pop(line), {"end": False}
                    self._forget(line)
                    continue
                *whole, begun[line] = (begun[line] + data).split(b"\n")
                for text in whole:
                    message = json.loads(text)
                    number = busy.pop(line) if "end" in message else busy[line]
                    yield number, message

    def close(self) -> None:
        """End all workers, at once where they are still at work."""
        self._signal(signal.SIGKILL)
        for line in list(self._lines):
            self._forget(line)
        self._selector.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        # A signal between the fork and the worker's own handlers would run the parent's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        worker = os.fork()
        if worker == 0:
            _serve(theirs, (ours, *self._lines), self._work, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._lines[ours] = worker
        self._selector.register(ours, selectors.EVENT_READ)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._lines.values():
            with suppress(ProcessLookupError):
                os.kill(worker, number)

    def _forget(self, line: socket.socket) -> None:
        self._selector.unregister(line)
        line.close()
        os.waitpid(self._lines.pop(line), 0)


def _serve(
    line: socket.socket, others: Iterable[socket.socket], work: Work, parent: int
) -> NoReturn:
    """Take jobs from the line until it ends; nothing of the parent's is tidied up here."""
    code = 1
    try:
        stop = WorkerStop(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for one in others:
            one.close()
        torch.set_num_threads(1)

        def tell(message: Message) -> None:
            line.sendall(json.dumps(message).encode() + b"\n")

        with line.makefile("r") as jobs:
            for number in jobs:
                work(int(number), tell, stop)
                tell({"end": True})
        code = 0
    finally:
        os._exit(code)


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(1 << 16)
    except ConnectionError:
        return b""
