"""`learn-task`: learn a mask for each task and commit each as soon as it is done."""

import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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
from supsup_cli import __version__
from supsup_cli.core.learning import LabelledImages, class_log_probabilities, learn_masks
from supsup_cli.core.masks import Masks
from supsup_cli.core.novelty import (
    CALIBRATION_LEVELS,
    DAMPED_LOG_ODDS,
    calibration_quantiles,
)
from supsup_cli.core.recipes import Recipe
from supsup_cli.data import catalog
from supsup_cli.data.splits import Split, TaskData
from supsup_cli.errors import UsageError
from supsup_cli.workflows.learning_plan import (
    LearnRequest,
    Plan,
    check_classes,
    chosen_recipe,
    equal_task,
    make_plans,
)
from supsup_cli.workflows.listing import accuracy_share
from supsup_cli.workflows.opening import OpenNetwork, open_network
from supsup_cli.workflows.reporting import Advance, Reporter
from supsup_cli.workflows.results import FailedInput, LearnedTask, LearnResult


def learn_task(path: Path, request: LearnRequest, reporter: Reporter) -> LearnResult:
    """Learn the tasks one after the other; what is there already and equal is left alone.

    All names are checked before the first task is learned.

    Raises:
        UsageError, NoInputError, TooManyClassesError: what was asked for cannot be learned.
        NameTakenError: another task has that name. LockedError: another process is learning it.
        BankError: the bank cannot be read or written.
    """
    recipe = chosen_recipe(request)
    net = open_network(path, request.device)
    plans = make_plans(net, request)
    taken = set(net.bank.tasks())
    there = {
        plan.task: equal_task(net, plan, recipe, request.seed)
        for plan in plans
        if plan.task in taken
    }
    learned: list[LearnedTask] = []
    failed: list[FailedInput] = []
    for plan in plans:
        if plan.task not in there:
            check_classes(net, plan, reporter)
    left = (len(plans) - len(there)) * recipe.steps
    with reporter.track("learning", left, "steps") as advance:
        for plan in plans:
            if plan.task in there:
                learned.append(_describe(there[plan.task], "exists", 0.0))
                continue
            with net.bank.claim(plan.task):
                if plan.task in net.bank.tasks():  # another process was faster
                    task = equal_task(net, plan, recipe, request.seed)
                    learned.append(_describe(task, "exists", 0.0))
                    advance(recipe.steps)
                    continue
                data = catalog.load(plan.data, net.bank.record.input.shape, seed=request.seed)
                failed += [FailedInput(source, error) for source, error in data.broken]
                learned.append(_learn(net, plan, data, recipe, request.seed, advance))
    return LearnResult(tuple(learned), tuple(failed))


def _learn(
    net: OpenNetwork,
    plan: Plan,
    data: TaskData,
    recipe: Recipe,
    seed: int,
    advance: Advance,
) -> LearnedTask:
    began = time.perf_counter()
    outputs = torch.tensor(data.outputs, device=net.device)
    train = _labelled(net, data.train, outputs)
    try:
        masks = learn_masks(
            net.network,
            tuple(net.layout.shapes),
            train,
            net.pixels,
            recipe,
            seed=seed,
            task=plan.task,
            on_step=lambda _step: advance(1),
        )
    except ValueError as error:
        raise UsageError(f"task {plan.task!r}: {error}") from error
    floats = {name: mask.to(torch.float32) for name, mask in masks.items()}
    facts = TaskFacts(
        task=plan.task,
        classes=tuple(map(ClassRecord, data.classes, data.outputs)),
        data=DataRecord(data.name, data.digest),
        recipe=RecipeRecord(recipe.name, recipe.settings()),
        seed=seed,
        steps=recipe.steps,
        accuracy=_accuracy(net, floats, data.test, outputs),
        calibration=_calibration(net, floats, data.calibration, outputs),
    )
    seconds = time.perf_counter() - began
    arrays = {name: np.asarray(mask.cpu()) for name, mask in masks.items()}
    task = net.bank.add_task(facts, arrays, {}, _provenance(net, data.source, seconds))
    return _describe(task, "learned", seconds)


def _labelled(net: OpenNetwork, split: Split, outputs: Tensor) -> LabelledImages:
    images = torch.from_numpy(split.images).to(net.device)
    return LabelledImages(images, outputs[torch.from_numpy(split.labels).to(net.device)])


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
    return CalibrationRecord(
        DAMPED_LOG_ODDS, len(split), CALIBRATION_LEVELS, tuple(values.tolist())
    )


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


def _describe(task: Task, status: str, seconds: float) -> LearnedTask:
    return LearnedTask(
        task=task.content.task,
        status=status,
        accuracy=accuracy_share(task),
        steps=task.content.steps,
        seconds=seconds,
        density=task.density,
        bytes=task.bytes_on_disk,
        content_sha256=task.content_sha256,
    )
