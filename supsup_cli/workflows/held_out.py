"""Find the data that a task was learned from: where they were, or where they lie now."""

import shlex
from collections.abc import Mapping, Sequence

from bank_format.kinds.mask import Task
from supsup_cli.data import catalog, names
from supsup_cli.data.reading import Reading
from supsup_cli.data.splits import HeldOutData
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.opening import OpenNetwork, OpenTasks

_MOST_NAMED = 3


def held_out(
    net: OpenNetwork, task: Task, reading: Reading, moved: Mapping[str, str]
) -> HeldOutData:
    """Load the test split of a task's data; see `confirmed_data`."""
    data, known = confirmed_data(net, task, reading, moved)
    shape = net.bank.record.input.shape
    return catalog.load_test(data, shape, seed=task.content.seed, reading=known)


def confirmed_data(
    net: OpenNetwork, task: Task, reading: Reading, moved: Mapping[str, str]
) -> tuple[str, Reading]:
    """Find the data that a task was learned from, and confirm them by its digest.

    Args:
        net: the open network.
        task: its file's content.
        reading: where data sets lie.
        moved: digest of data → the folder where they lie now.

    Returns:
        their name or folder, and how to read it.

    Raises:
        NoInputError: the data are missing or have changed.
    """
    content = task.content
    shape = net.bank.record.input.shape
    digest = content.data.digest
    data = moved.get(digest) or task.provenance.source or content.data.name
    try:
        known = catalog.reading_of(data, shape, {digest}, reading)
    except (NoInputError, UsageError) as error:
        raise _moved_away(error.message, task) from error
    if known is None:
        found = catalog.digest(data, shape, reading)
        raise _moved_away(
            f"{data}: data {found[:16]}… found, task {content.task!r} learned from {digest[:16]}…",
            task,
        )
    return data, known


def find_moved(opened: OpenTasks, data: Sequence[str], reading: Reading) -> dict[str, str]:
    """Find out which tasks folders belong to, by the digests of their content.

    Returns:
        digest of data → the folder that holds them now.

    Raises:
        NoInputError: a folder holds no task's data.
        UsageError: an unknown name.
    """
    shape = opened.net.bank.record.input.shape
    moved: dict[str, str] = {}
    for folder in data:
        known = catalog.reading_of(folder, shape, opened.seeds, reading)
        found = catalog.digest(folder, shape, known or reading)
        if known is None:
            raise NoInputError(
                f"{folder}: data {found[:16]}… found, expected those of a task: "
                f"{_expected(opened, folder)}",
                hint=f"supsup tasks show {shlex.quote(_likely(opened, folder)[0].content.task)} "
                f"--bank {shlex.quote(str(opened.net.bank.path))}",
            )
        moved[found] = folder
    return moved


def moved_hint(net: OpenNetwork) -> str:
    """Return the command that names the folder where a task's data lie now."""
    return f"supsup evaluate --bank {shlex.quote(str(net.bank.path))} --data FOLDER"


def _moved_away(message: str, task: Task) -> NoInputError:
    """Refuse missing data; a folder may have moved."""
    if not task.provenance.source:
        return NoInputError(message)
    return NoInputError(f"{message}; if its data lie elsewhere now: supsup evaluate --data FOLDER")


def _likely(opened: OpenTasks, folder: str) -> list[Task]:
    """Sort tasks: first those with the folder's name, or with data from a folder of that name."""
    meaning = names.resolve(folder)
    last = str(getattr(meaning, "name", meaning))

    def fits(task: Task) -> bool:
        return last.lower() in (task.content.task, task.content.data.name.lower())

    return sorted(opened.tasks, key=lambda task: (not fits(task), not task.provenance.source))


def _expected(opened: OpenTasks, folder: str) -> str:
    likely = _likely(opened, folder)
    told = [f"{one.content.task} {one.content.data.digest[:16]}…" for one in likely[:_MOST_NAMED]]
    more = len(likely) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")
