"""Start again if a task's file is not the one that was known.

Another command has replaced the task meanwhile, or the index was wrong.
"""

from collections.abc import Callable
from typing import TypeVar

from supsup_cli.workflows.lazy_tasks import IndexLieError, LazyTasks
from supsup_cli.workflows.opening import OpenTasks

__all__ = ["anew"]

_Found = TypeVar("_Found")


def anew(opened: OpenTasks, find: Callable[[], _Found]) -> _Found:
    """Compute something from open tasks; start again whenever a task turns out to be another.

    Args:
        opened: the tasks.
        find: computes it, and reads some of the tasks.

    Raises:
        Exception: whatever `find` raises, except `IndexLieError` for tasks read lazily.
    """
    while True:
        try:
            return find()
        except IndexLieError as lie:
            if not isinstance(opened, LazyTasks):
                raise
            opened.distrust(str(lie))
