"""Learning one task that was claimed: from its data, or from where it stopped, to its commit."""

import platform
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from bank_format.errors import StorageError
from bank_format.task_file import Task
from bank_format.task_records import (
    AccuracyRecord,
    CalibrationRecord,
    ClassRecord,
    DataRecord,
    Provenance,
    RecipeRecord,
    TaskFacts,
)
from bank_format.work_files import WorkRoom
from supsup_cli import __version__
from supsup_cli.core.learning import LabelledImages, Learning, class_log_probabilities
from supsup_cli.core.masks import Masks
from supsup_cli.core.novelty import CALIBRATION_LEVELS, calibration_quantiles
from supsup_cli.core.recipes import Recipe
from supsup_cli.data.splits import Split, TaskData
from supsup_cli.errors import UsageError
from supsup_cli.workflows.checkpoints import Checkpoints, plan_digest
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.reporting import Advance, Reporter
from supsup_cli.workflows.stopping import Stop


@dataclass(frozen=True)
class Lesson:
    """What one task is learned from and how."""

    task: str
    data: TaskData
    recipe: Recipe
    seed: int


def learn_lesson(
    net: OpenNetwork,
    lesson: Lesson,
    room: WorkRoom,
    reporter: Reporter,
    stop: Stop,
    advance: Advance,
) -> Task:
    """Learn a task's masks, measure them and commit them; nothing of its work is left.

    Args:
        net: the open network.
        lesson: what to learn.
        room: of the task, which the caller has claimed.
        reporter: who is told.
        stop: who may ask to stop.
        advance: called with the steps just done, those of an earlier run included.

    Raises:
        KeyboardInterrupt: it was stopped; says in one line how far it got and what is kept.
        UsageError: the data cannot be learned.
        BankError: the bank cannot be written.
    """
    data, recipe = lesson.data, lesson.recipe
    plan = plan_digest(lesson.task, data.digest, recipe, lesson.seed, net.device.type)
    checkpoints = Checkpoints(room, plan, reporter)
    outputs = torch.tensor(data.outputs, device=net.device)
    try:
        learning = checkpoints.begin(lambda: _opened(net, lesson, outputs))
        advance(learning.steps_done)
        _take_steps(lesson, learning, checkpoints, stop, advance)
        masks = learning.masks()
    except ValueError as error:
        _discard(room)
        raise UsageError(f"task {lesson.task!r}: {error}") from error
    try:
        facts = _facts(net, lesson, masks, outputs)
    except KeyboardInterrupt:
        raise _stopped(lesson, learning, checkpoints) from None
    arrays = {name: np.asarray(mask.cpu()) for name, mask in masks.items()}
    provenance = _provenance(net, data.source, checkpoints.seconds())
    with stop.steps():  # it takes a moment, and is told as done once it is done
        task = net.bank.add_task(facts, arrays, {}, provenance)
        _discard(room)
    return task


def _discard(room: WorkRoom) -> None:
    with suppress(StorageError):  # what is left of the work does no harm
        room.discard()


def _opened(net: OpenNetwork, lesson: Lesson, outputs: Tensor) -> Learning:
    train = lesson.data.train
    images = torch.from_numpy(train.images).to(net.device)
    targets = outputs[torch.from_numpy(train.labels).to(net.device)]
    return Learning(
        net.network,
        tuple(net.layout.shapes),
        LabelledImages(images, targets),
        net.pixels,
        lesson.recipe,
        seed=lesson.seed,
        task=lesson.task,
    )


def _take_steps(
    lesson: Lesson, learning: Learning, checkpoints: Checkpoints, stop: Stop, advance: Advance
) -> None:
    with stop.steps():
        while not learning.done and not stop.asked:
            learning.advance()
            advance(1)
            checkpoints.after_step(learning)
        if stop.asked:
            raise _stopped(lesson, learning, checkpoints)


def _stopped(lesson: Lesson, learning: Learning, checkpoints: Checkpoints) -> KeyboardInterrupt:
    saved = "saved" if checkpoints.save(learning) else "which could not be saved"
    place = f"step {learning.steps_done} of {lesson.recipe.steps}"
    return KeyboardInterrupt(f"task {lesson.task!r} at {place}, {saved}")


def _facts(net: OpenNetwork, lesson: Lesson, masks: Masks, outputs: Tensor) -> TaskFacts:
    data, recipe = lesson.data, lesson.recipe
    floats = {name: mask.to(torch.float32) for name, mask in masks.items()}
    return TaskFacts(
        task=lesson.task,
        classes=tuple(map(ClassRecord, data.classes, data.outputs)),
        data=DataRecord(data.name, data.digest),
        recipe=RecipeRecord(recipe.name, recipe.settings()),
        seed=lesson.seed,
        steps=recipe.steps,
        accuracy=_accuracy(net, floats, data.test, outputs),
        calibration=_calibration(net, floats, data.calibration, outputs),
    )


def _accuracy(
    net: OpenNetwork, masks: Masks, test: Split, outputs: Tensor
) -> AccuracyRecord | None:
    if len(test) == 0:
        return None
    images = torch.from_numpy(test.images).to(net.device)
    guesses = class_log_probabilities(net.network, masks, images, net.pixels, outputs).argmax(-1)
    return AccuracyRecord(int((guesses.cpu().numpy() == test.labels).sum()), len(test))


def _calibration(
    net: OpenNetwork, masks: Masks, split: Split, outputs: Tensor
) -> CalibrationRecord | None:
    if len(split) == 0 or len(outputs) == net.bank.record.outputs:
        return None
    images = torch.from_numpy(split.images).to(net.device)
    values = calibration_quantiles(net.network, masks, images, net.pixels, outputs)
    return CalibrationRecord("R", len(split), CALIBRATION_LEVELS, tuple(values.tolist()))


def _provenance(net: OpenNetwork, source: str, seconds: float) -> Provenance:
    versions = {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "supsup": __version__,
        "torch": str(torch.__version__),
    }
    return Provenance(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        seconds=seconds,
        machine=f"{platform.system()} {platform.machine()}, {net.device.type}, "
        f"{torch.get_num_threads()} threads",
        versions=versions,
        source=source,
    )
