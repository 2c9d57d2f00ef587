"""Begin anew where a task turns out to be other than it was known to be.

Another command has removed it and learned one of that name, or the index lied.
"""

from collections.abc import Callable
from typing import TypeVar

from supsup_cli.workflows.lazy_tasks import IndexLieError, LazyTasks
from supsup_cli.workflows.opening import OpenTasks

__all__ = ["anew"]

_Found = TypeVar("_Found")


def anew(opened: OpenTasks, find: Callable[[], _Found]) -> _Found:
    """Find something out about open tasks, again as often as one of them is not what it was.

    Args:
        opened: the tasks.
        find: reads some of them.

    Raises:
        What `find` raises of other kinds.
    """
    while True:
        try:
            return find()
        except IndexLieError as lie:
            if not isinstance(opened, LazyTasks):
                raise
            opened.distrust(str(lie))
