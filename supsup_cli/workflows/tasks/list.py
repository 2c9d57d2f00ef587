"""`tasks`: list what is in each task's file."""

from collections.abc import Iterator
from itertools import starmap

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.index.known import list_rows
from bank_format.index.list_rows import ListRows
from bank_format.kinds.mask import Task
from bank_format.store.tasks import many_objects
from supsup_cli.workflows.results.common import LeftOutTask
from supsup_cli.workflows.results.tasks import ListedTask, TasksResult


@many_objects()
def list_tasks(path: Place) -> TasksResult:
    """List the tasks of a bank in order of their names, as the index has them, or their files.

    A task whose file has to be read, and cannot be, is left out.

    Raises:
        BankError: the bank cannot be read.
    """
    bank = Bank.open(path)
    weights = sum(one.count for one in bank.record.masked)
    rows, failed = list_rows(bank)
    return TasksResult(
        tuple(_listed(rows, weights)),
        tuple(LeftOutTask(name, error.message, error.exit_code) for name, error in failed.items()),
    )


def _listed(rows: ListRows, weights: int) -> Iterator[ListedTask]:
    numbers = rows.numbers
    columns = zip(
        rows.names,
        rows.kinds,
        rows.data,
        numbers["classes"].tolist(),
        rows.recipes,
        numbers["steps"].tolist(),
        (numbers["ones"] / weights).tolist(),
        rows.accuracies,
        numbers["file"][:, 0].tolist(),
        rows.created,
        (bytes(digest).hex() for digest in rows.digests["content"]),
        strict=True,
    )
    return starmap(ListedTask, columns)


def describe(task: Task) -> ListedTask:
    """Make one row of the list of tasks."""
    content = task.content
    return ListedTask(
        task=content.task,
        kind=content.kind,
        data=content.data.name,
        classes=len(content.classes),
        recipe=content.recipe.name,
        steps=content.steps,
        density=task.density,
        accuracy=task.accuracy,
        bytes=task.bytes_on_disk,
        created=task.provenance.created,
        content_sha256=task.content_sha256,
    )
