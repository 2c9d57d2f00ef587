"""`learn-task`: learn a mask for each task and commit each as soon as it is done."""

import time
from pathlib import Path

import numpy as np
import torch

from bank_format.task_records import ClassRecord, DataRecord, RecipeRecord, TaskFacts
from supsup_cli.core.learning import learn_masks
from supsup_cli.core.recipes import Recipe
from supsup_cli.data import catalog
from supsup_cli.data.splits import TaskData
from supsup_cli.errors import UsageError
from supsup_cli.workflows.detecting import known_task
from supsup_cli.workflows.learning_plan import (
    LearnRequest,
    Plan,
    check_classes,
    chosen_recipe,
    equal_task,
    make_plans,
)
from supsup_cli.workflows.measuring import accuracy, calibration, describe, labelled, provenance
from supsup_cli.workflows.opening import OpenNetwork, open_network
from supsup_cli.workflows.reporting import Advance, Reporter
from supsup_cli.workflows.results import FailedInput, LearnedTask, LearnResult


def learn_task(path: Path, request: LearnRequest, reporter: Reporter) -> LearnResult:
    """Learn the tasks one after the other; what is there already and equal is left alone.

    All names are checked before the first task is learned. With `detect`, data that belongs to a
    known task is not learned, and the known task is answered instead.

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
                learned.append(describe(there[plan.task], "exists", 0.0))
                continue
            with net.bank.claim(plan.task):
                if plan.task in net.bank.tasks():  # another process was faster
                    task = equal_task(net, plan, recipe, request.seed)
                    learned.append(describe(task, "exists", 0.0))
                    advance(recipe.steps)
                    continue
                data = catalog.load(plan.data, net.bank.record.input.shape, seed=request.seed)
                failed += [FailedInput(source, error) for source, error in data.broken]
                known = known_task(net, data) if request.detect else None
                if known is not None:
                    learned.append(describe(known, "known", 0.0))
                    reporter.note(f"{plan.data}: belongs to task {known.content.task!r}")
                    advance(recipe.steps)
                    continue
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
    train = labelled(net, data.train, outputs)
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
        accuracy=accuracy(net, floats, data.test, outputs),
        calibration=calibration(net, floats, data.calibration, outputs),
    )
    seconds = time.perf_counter() - began
    arrays = {name: np.asarray(mask.cpu()) for name, mask in masks.items()}
    task = net.bank.add_task(facts, arrays, {}, provenance(net, data.source, seconds))
    return describe(task, "learned", seconds)
