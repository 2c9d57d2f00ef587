"""SIGINT, SIGTERM and SIGHUP end a command in one way: by KeyboardInterrupt, or after the step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """The signals of one command; the `Stop` of its workflow.

    Attributes:
        asked: whether any signal came. Some code ignores every exception, including an
            interruption; code that checks this between two steps still stops.
    """

    def __init__(self) -> None:
        self.asked = False
        self._steps_run = False

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Let the first signal wait while steps run; the next one interrupts."""
        self._steps_run = True
        try:
            yield
        finally:
            self._steps_run = False

    def receive(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: no steps run, or it is not the first.
        """
        waits = self._steps_run and not self.asked
        self.asked = True
        if not waits:
            raise KeyboardInterrupt


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Handle the signals while a command runs, and as before afterwards.

    Nested calls return the same object. A signal that is ignored, as under nohup, stays ignored.
    Outside the main thread nothing changes, because only that may handle signals.
    """
    stop = StopSignals()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in _SIGNALS}
    for handler in before.values():
        installed = getattr(handler, "__self__", None)
        if isinstance(installed, StopSignals):
            yield installed
            return
    handled = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    try:
        for number in handled:
            signal.signal(number, stop.receive)
        yield stop
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
