"""`tasks show`: show everything that is in task files."""

from collections.abc import Sequence
from dataclasses import asdict

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.encoding.bits import count_ones
from bank_format.encoding.codec import stored_bytes
from bank_format.kinds.mask import Task
from bank_format.kinds.task_records import CalibrationRecord, TaskContent
from supsup_cli.workflows.results.tasks import (
    ShownCalibration,
    ShownClass,
    ShownLayer,
    ShownParent,
    ShownTask,
    ShowResult,
)
from supsup_cli.workflows.tasks.list import describe


def show_tasks(path: Place, names: Sequence[str]) -> ShowResult:
    """Return everything that the files of some tasks record.

    Raises:
        BankError: the bank or a task cannot be read, or there is no such task.
    """
    bank = Bank.open(path)
    asked = list(dict.fromkeys(names))
    for name in asked:
        bank.task_path(name)
    return ShowResult(tuple(_show(bank, bank.read_task(name)) for name in asked))


def _show(bank: Bank, task: Task) -> ShownTask:
    content, provenance = task.content, task.provenance
    accuracy = content.accuracy
    return ShownTask(
        **asdict(describe(task)),
        file=str(bank.task_path(content.task)),
        base_sha256=content.base_sha256,
        data_digest=content.data.digest,
        settings=content.recipe.settings,
        seed=content.seed,
        correct=accuracy.correct if accuracy else None,
        images=accuracy.images if accuracy else None,
        class_names=tuple(ShownClass(one.name, one.output) for one in content.classes),
        layers=_layers(bank, task),
        calibration=_calibration(content.calibration),
        parents=tuple(ShownParent(one.task, one.content_sha256) for one in content.parents),
        statistics={name: values.shape for name, values in task.statistics.items()},
        seconds=provenance.seconds,
        machine=provenance.machine,
        versions=provenance.versions,
        source=provenance.source,
    )


def _calibration(told: CalibrationRecord | None) -> ShownCalibration | None:
    if told is None:
        return None
    return ShownCalibration(told.objective, told.images, told.levels, told.values)


def _layers(bank: Bank, task: Task) -> tuple[ShownLayer, ...]:
    layers = []
    for parameter in bank.record.masked:
        mask = task.masks[parameter.name]
        ones = count_ones(mask)
        coding, size, coefficients = "coefficients", 0, ()
        if isinstance(task.content, TaskContent):
            encoding = task.content.encoding[parameter.name]
            coding, size = encoding.coding, stored_bytes(encoding, mask, parameter.count)
        else:
            stored = task.coefficients[parameter.name]
            size, coefficients = stored.nbytes, tuple(stored.tolist())
        layers.append(
            ShownLayer(
                parameter=parameter.name,
                shape=parameter.shape,
                weights=parameter.count,
                ones=ones,
                density=ones / parameter.count,
                coding=coding,
                bytes=size,
                coefficients=coefficients,
            )
        )
    return tuple(layers)
