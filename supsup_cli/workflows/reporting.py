"""How a workflow tells of its progress and learns that it shall stop, knowing no terminal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Reporter(Protocol):
    """What a workflow may say while it works."""

    def note(self, text: str) -> None:
        """Report one line that is not part of the answer."""

    def track(
        self, description: str, total: int | None, unit: str
    ) -> AbstractContextManager[Advance]:
        """Follow a long job (None: of unknown length): call with the units just done."""


class Silent:
    """A reporter that says nothing."""

    def note(self, text: str) -> None:
        """Ignore the line."""

    @contextmanager
    def track(self, description: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Count in silence."""
        yield lambda _done: None


class Stop(Protocol):
    """Someone who may ask a workflow to stop."""

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""

    def steps(self) -> AbstractContextManager[None]:
        """While steps run, ask and let the running one end; at any other time, interrupt."""


class NeverStop:
    """A stop that nobody asks for."""

    asked = False

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Let the steps run."""
        yield
