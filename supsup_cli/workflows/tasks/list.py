"""`tasks`: list what is in each task's file."""

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.index.known import list_rows
from bank_format.index.rows import ListRow
from bank_format.kinds.mask import Task
from supsup_cli.workflows.results.common import LeftOutTask
from supsup_cli.workflows.results.tasks import ListedTask, TasksResult


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
        tuple(_listed(row, weights) for row in rows.values()),
        tuple(LeftOutTask(name, error.message, error.exit_code) for name, error in failed.items()),
    )


def _listed(row: ListRow, weights: int) -> ListedTask:
    return ListedTask(
        task=row.task,
        kind=row.kind,
        data=row.data,
        classes=row.classes,
        recipe=row.recipe,
        steps=row.steps,
        density=row.ones / weights,
        accuracy=row.accuracy,
        bytes=row.file.stamp.size,
        created=row.created,
        content_sha256=row.content_sha256.hex(),
    )


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
