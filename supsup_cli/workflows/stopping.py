"""How a long workflow learns that it shall stop, without knowing of signals."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


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
