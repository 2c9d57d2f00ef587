"""`learn-task`: learn a mask for each task and commit each as soon as it is done."""

import dataclasses
import platform
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bank_format.errors import NameTakenError
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
from supsup_cli.core.novelty import CALIBRATION_LEVELS, calibration_quantiles
from supsup_cli.core.recipes import RECIPES, Recipe
from supsup_cli.data import catalog, names
from supsup_cli.data.splits import Split, TaskData
from supsup_cli.errors import TooManyClassesError, UsageError
from supsup_cli.workflows.listing import accuracy_share
from supsup_cli.workflows.opening import OpenNetwork, open_network
from supsup_cli.workflows.reporting import Advance, Reporter
from supsup_cli.workflows.results import FailedInput, LearnedTask, LearnResult

# Below this many superfluous outputs for each class, task inference suffers (paper, Fig. 6).
_SUPERFLUOUS_PER_CLASS = 9


@dataclass(frozen=True)
class LearnRequest:
    """What to learn and how; None stands for the recipe's own number."""

    data: Sequence[str]
    name: str | None
    recipe: str
    steps: int | None
    batch_size: int | None
    seed: int
    device: str


@dataclass(frozen=True)
class _Plan:
    task: str
    data: str
    digest: str


def learn_task(path: Path, request: LearnRequest, reporter: Reporter) -> LearnResult:
    """Learn the tasks one after the other; what is there already and equal is left alone.

    All names are checked before the first task is learned.

    Raises:
        UsageError, NoInputError, TooManyClassesError: what was asked for cannot be learned.
        NameTakenError: another task has that name. LockedError: another process is learning it.
        BankError: the bank cannot be read or written.
    """
    recipe = _recipe(request)
    net = open_network(path, request.device)
    plans = _plans(net, request)
    taken = set(net.bank.tasks())
    there = {
        plan.task: _equal_task(net, plan, recipe, request.seed)
        for plan in plans
        if plan.task in taken
    }
    learned: list[LearnedTask] = []
    failed: list[FailedInput] = []
    left = (len(plans) - len(there)) * recipe.steps
    with reporter.track("learning", left, "steps") as advance:
        for plan in plans:
            if plan.task in there:
                learned.append(_describe(there[plan.task], "exists", 0.0))
                continue
            with net.bank.claim(plan.task):
                data = catalog.load(plan.data, net.bank.record.input.shape, seed=request.seed)
                failed += [FailedInput(source, error) for source, error in data.broken]
                _check_classes(net, plan.task, data, reporter)
                learned.append(_learn(net, plan, data, recipe, request.seed, advance))
    return LearnResult(tuple(learned), tuple(failed))


def _recipe(request: LearnRequest) -> Recipe:
    if request.recipe not in RECIPES:
        raise UsageError(f"--recipe {request.recipe}: expected {' or '.join(RECIPES)}")
    recipe = RECIPES[request.recipe]
    return dataclasses.replace(
        recipe,
        steps=recipe.steps if request.steps is None else request.steps,
        batch_size=recipe.batch_size if request.batch_size is None else request.batch_size,
    )


def _plans(net: OpenNetwork, request: LearnRequest) -> list[_Plan]:
    data = names.expand(request.data)
    if request.name is not None and len(data) != 1:
        raise UsageError(f"--name {request.name}: {len(data)} data sets found, expected one")
    tasks = [request.name] if request.name is not None else [names.task_name(one) for one in data]
    for task, one in zip(tasks, data, strict=True):
        net.bank.task_path(task)  # refuses an unlawful name before an hour of learning
        if tasks.count(task) > 1:
            raise UsageError(f"{one}: task name {task!r} found twice, expected distinct names")
    shape = net.bank.record.input.shape
    return [
        _Plan(task, one, catalog.digest(one, shape)) for task, one in zip(tasks, data, strict=True)
    ]


def _equal_task(net: OpenNetwork, plan: _Plan, recipe: Recipe, seed: int) -> Task:
    task = net.bank.read_task(plan.task)
    content = task.content
    found = {
        "data": content.data.digest,
        "recipe": (content.recipe.name, dict(content.recipe.settings)),
        "seed": content.seed,
        "steps": content.steps,
    }
    asked = {
        "data": plan.digest,
        "recipe": (recipe.name, recipe.settings()),
        "seed": seed,
        "steps": recipe.steps,
    }
    for key, value in asked.items():
        if found[key] != value:
            raise NameTakenError(
                f"task {plan.task!r}: learned already with {key} {_short(found[key])}, asked for "
                f"{_short(value)}; it is unchanged",
                hint=f"supsup learn-task --bank {shlex.quote(str(net.bank.path))} "
                f"--data {shlex.quote(plan.data)} --name ANOTHER-NAME",
            )
    return task


def _check_classes(net: OpenNetwork, task: str, data: TaskData, reporter: Reporter) -> None:
    record = net.bank.record
    needed = max(data.outputs) + 1
    if needed > record.real_outputs:
        raise TooManyClassesError(
            f"task {task!r}: {needed} outputs needed for its {len(data.classes)} classes, the "
            f"bank has {record.real_outputs} real outputs",
            hint=f"supsup init-base --bank ANOTHER-BANK --real-outputs {needed} "
            f"--outputs {needed * (_SUPERFLUOUS_PER_CLASS + 1)}",
        )
    superfluous = record.outputs - len(data.classes)
    if superfluous < _SUPERFLUOUS_PER_CLASS * len(data.classes):
        reporter.note(
            f"task {task}: {superfluous} superfluous outputs for {len(data.classes)} classes; "
            f"with fewer than {_SUPERFLUOUS_PER_CLASS} for each class the task is harder to infer"
        )


def _learn(
    net: OpenNetwork,
    plan: _Plan,
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
        data=DataRecord(data.name, plan.digest),
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
        status=status,
        accuracy=accuracy_share(task),
        steps=task.content.steps,
        seconds=seconds,
        density=task.density,
        bytes=task.bytes_on_disk,
        content_sha256=task.content_sha256,
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
