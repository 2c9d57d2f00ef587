"""`learn-task`: learn a mask for each task and commit each as soon as it is done."""

import dataclasses
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
from supsup_cli.core.density import mask_values
from supsup_cli.core.learning import LabelledImages, class_log_probabilities, learn_masks
from supsup_cli.core.masks import Masks
from supsup_cli.core.novelty import CALIBRATION_LEVELS, calibration_quantiles
from supsup_cli.core.recipes import Recipe
from supsup_cli.data import catalog
from supsup_cli.data.splits import Split, TaskData
from supsup_cli.errors import UsageError
from supsup_cli.workflows.earlier_masks import combine, earlier_masks
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
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.learning import LearnedTask, LearnResult


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
                learned.append(_learn(net, plan, data, recipe, request.seed, reporter, advance))
    return LearnResult(tuple(learned), tuple(failed))


def _learn(
    net: OpenNetwork,
    plan: Plan,
    data: TaskData,
    recipe: Recipe,
    seed: int,
    reporter: Reporter,
    advance: Advance,
) -> LearnedTask:
    began = time.perf_counter()
    outputs = torch.tensor(data.outputs, device=net.device)
    train = _labelled(net, data.train, outputs)
    earlier = None
    if recipe.transfer or recipe.combine is not None:
        earlier = earlier_masks(net, train, recipe)
        if earlier is None:
            reporter.note(f"task {plan.task}: no earlier mask to start from or to combine")
    made = None
    if earlier is not None and recipe.combine is not None:
        made = combine(
            net, earlier, train, data.calibration, outputs, recipe, seed=seed, task=plan.task
        )
        names = ", ".join(parent.task for parent in made.parents)
        reporter.note(
            f"task {plan.task}: combining {names} classifies {made.accuracy:.2%} of the "
            f"calibration images, {recipe.combine:.2%} asked for"
        )
    if made is not None and made.accuracy >= (recipe.combine or 0):
        advance(recipe.steps)
        facts = _facts(net, plan, data, recipe, seed, made.masks, outputs)
        facts = dataclasses.replace(facts, steps=made.steps, parents=made.parents)
        seconds = time.perf_counter() - began
        provenance = _provenance(net, data.source, seconds)
        task = net.bank.add_combination(facts, made.coefficients, {}, provenance)
        return _describe(task, "learned", seconds)
    transferred = earlier if recipe.transfer else None
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
            start=transferred.scores(recipe, seed, plan.task) if transferred else None,
        )
    except ValueError as error:
        raise UsageError(f"task {plan.task!r}: {error}") from error
    values = mask_values(masks, sparse=recipe.density is not None)
    facts = _facts(net, plan, data, recipe, seed, values, outputs)
    facts = dataclasses.replace(facts, parents=transferred.parents if transferred else ())
    seconds = time.perf_counter() - began
    arrays = {name: np.asarray(mask.cpu()) for name, mask in masks.items()}
    task = net.bank.add_task(facts, arrays, {}, _provenance(net, data.source, seconds))
    return _describe(task, "learned", seconds)


def _facts(
    net: OpenNetwork,
    plan: Plan,
    data: TaskData,
    recipe: Recipe,
    seed: int,
    values: Masks,
    outputs: Tensor,
) -> TaskFacts:
    """Measure a task's masks, (name → float32 of its shape), and say what is known of the task."""
    return TaskFacts(
        task=plan.task,
        classes=tuple(map(ClassRecord, data.classes, data.outputs)),
        data=DataRecord(data.name, data.digest),
        recipe=RecipeRecord(recipe.name, recipe.settings()),
        seed=seed,
        steps=recipe.steps,
        accuracy=_accuracy(net, values, data.test, outputs),
        calibration=_calibration(net, values, data.calibration, outputs),
    )


def _labelled(net: OpenNetwork, split: Split, outputs: Tensor) -> LabelledImages:
    images = torch.from_numpy(split.images).to(net.device)
    return LabelledImages(images, outputs[torch.from_numpy(split.labels).to(net.device)])


def _accuracy(
    net: OpenNetwork, masks: Masks, test: Split, outputs: Tensor
) -> AccuracyRecord | None:
    if len(test) == 0:
        return None
    images = torch.tensor(test.images, device=net.device)  # a copy: MNIST's own is read-only
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


def _describe(task: Task, status: str, seconds: float) -> LearnedTask:
    return LearnedTask(
        task=task.content.task,
        kind=task.content.kind,
        status=status,
        accuracy=accuracy_share(task),
        steps=task.content.steps,
        seconds=seconds,
        density=task.density,
        bytes=task.bytes_on_disk,
        content_sha256=task.content_sha256,
    )
