"""How a workflow reports progress and learns that it must stop, without a terminal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Reporter(Protocol):
    """What a workflow may report while it works."""

    def note(self, text: str) -> None:
        """Report one line that is not part of the answer."""

    def track(
        self, description: str, total: int | None, unit: str
    ) -> AbstractContextManager[Advance]:
        """Follow a long job of `total` units (None: unknown); call it with the units just done."""


class Silent:
    """A reporter that says nothing."""

    def note(self, text: str) -> None:
        """Ignore the line."""

    @contextmanager
    def track(self, description: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Count without reporting."""
        yield lambda _done: None


class Stop(Protocol):
    """Says when a workflow must stop."""

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""

    def steps(self) -> AbstractContextManager[None]:
        """Let a running step end before stopping; at any other time, interrupt."""


class NeverStop:
    """A stop that never comes."""

    asked = False

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Let the steps run."""
        yield
