"""Report tasks that had to be left out of an answer, and an index that cannot be used."""

import warnings
from collections.abc import Callable
from typing import TypeVar

from bank_format.errors import NoSuchTaskError
from supsup_cli.workflows.lazy_tasks import LazyTasks
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.results.common import LeftOutTask
from supsup_cli.workflows.results.inference import InferResult, PredictResult

__all__ = ["LeftOut", "warned"]

_Answered = TypeVar("_Answered", InferResult, PredictResult)


class LeftOut:
    """What was left out of answers so far.

    Args:
        opened: the tasks.
        note: takes a line for each, once.
    """

    def __init__(self, opened: OpenTasks, note: Callable[[str], None]) -> None:
        self._opened = opened
        self._note = note
        self._told: set[str] = set()
        self._faults = 0
        self.tell()

    def tell(self) -> None:
        """Report what was not reported yet."""
        if isinstance(self._opened, LazyTasks):
            faults = self._opened.reader.faults
            for fault in faults[self._faults :]:
                self._note(fault)
            self._faults = len(faults)
        for name, error in self._opened.failures.items():
            if name not in self._told:
                self._note(LeftOutTask(name, error.message, error.exit_code).told)
                self._told.add(name)

    @property
    def tasks(self) -> tuple[LeftOutTask, ...]:
        """All tasks that cannot be read, except those that were removed in the meantime."""
        return tuple(
            LeftOutTask(name, error.message, error.exit_code)
            for name, error in sorted(self._opened.failures.items())
            if not isinstance(error, NoSuchTaskError)
        )


def warned(result: _Answered) -> _Answered:
    """Warn the Python caller about tasks that had to be left out of an answer."""
    for one in result.left_out:
        warnings.warn(one.told, RuntimeWarning, stacklevel=3)
    return result
