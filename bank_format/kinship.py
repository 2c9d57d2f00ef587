"""Which tasks are made of which: a combination cannot be read without its parents."""

import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from bank_format.combination_file import named_parents
from bank_format.errors import BankError, InUseError

__all__ = ["children_of", "refuse_parent"]

_MOST_NAMED = 5


def children_of(parent: str, tasks: Iterable[str], read: Callable[[str], bytes]) -> list[str]:
    """Name the combinations among tasks that are made of a parent, in their order.

    A file that cannot be read is left out: `verify` reports it, and its task is lost anyway.

    Args:
        parent: a task's name.
        tasks: names.
        read: gives the whole file of a task.
    """
    children = []
    for task in tasks:
        with suppress(BankError):
            if parent in named_parents(read(task), task):
                children.append(task)
    return children


def refuse_parent(bank: Path, name: str, children: list[str]) -> None:
    """Refuse to remove a task while combinations are made of it.

    Raises:
        InUseError: there are some.
    """
    if not children:
        return
    named = " ".join(children[:_MOST_NAMED])
    raise InUseError(
        f"{bank}: task {name!r} is combined by {len(children)} tasks, {children[0]!r} among them; "
        "nothing is removed",
        hint=f"remove those first: supsup tasks remove {named} --bank {shlex.quote(str(bank))}",
    )
