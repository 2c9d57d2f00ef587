"""`tasks`: list what is in each task's file."""

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.kinds.mask import Task
from supsup_cli.workflows.results.tasks import ListedTask, TasksResult


def list_tasks(path: Place) -> TasksResult:
    """List the tasks of a bank, sorted by name.

    Raises:
        BankError: the bank or a task cannot be read.
    """
    bank = Bank.open(path)
    return TasksResult(tuple(describe(bank.read_task(name)) for name in bank.tasks()))


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
