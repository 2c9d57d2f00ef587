"""Plan `learn-task`: check every name before the first task is learned."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bank_format.errors import LockedError, NameTakenError
from bank_format.kinds.mask import Task
from bank_format.names import shortened
from supsup_cli.choices import check_choice
from supsup_cli.core.learning.batches.augmentation import parse_augmentation
from supsup_cli.core.learning.recipes import RECIPES, Recipe, combination_steps, for_network
from supsup_cli.core.masks.density import parse_density
from supsup_cli.core.networks.head import find_head
from supsup_cli.core.networks.specs import Kind
from supsup_cli.data import catalog, names
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import TaskData
from supsup_cli.errors import TooManyClassesError, UsageError
from supsup_cli.workflows.learning.task_facts import asked_settings
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.reporting import Reporter

# Below this many superfluous outputs for each class, task inference suffers (paper, Fig. 6).
_SUPERFLUOUS_PER_CLASS = 9


@dataclass(frozen=True)
class LearnRequest:
    """What to learn and how; None stands for the recipe's own value.

    `given` is one task's data in memory, instead of names. Without `signature` a task keeps nothing
    of its images but the mask. `learning_rate` is `Recipe.learning_rate`.
    """

    data: Sequence[str]
    name: str | None
    recipe: str
    steps: int | None
    batch_size: int | None
    seed: int
    device: str
    density: str | None = None
    transfer: bool = False
    combine: float | None = None
    detect: bool = False
    reading: Reading = DEFAULT
    given: TaskData | None = None
    augment: str | None = None
    learning_rate: float | None = None
    signature: bool = True


@dataclass(frozen=True)
class Plan:
    """One task to learn: its name, its data, the data's digest, and how the data are read."""

    task: str
    data: str
    digest: str
    reading: Reading = DEFAULT


@dataclass(frozen=True)
class LearningJob:
    """A task to learn.

    Attributes:
        task: its name.
        data: what it is learned from.
        recipe: how.
        seed: of every random draw, together with the name.
        signature: whether to make one.
    """

    task: str
    data: TaskData
    recipe: Recipe
    seed: int
    signature: bool = True


def chosen_recipe(request: LearnRequest, kind: Kind) -> Recipe:
    """Return the recipe that was asked for, with the settings that were asked for.

    Args:
        request: what the user asked for.
        kind: of the network; the meaning of a recipe's name depends on it.

    Raises:
        UsageError: there is no such recipe, or no such density or share.
    """
    check_choice("--recipe", request.recipe, RECIPES)
    if request.combine is not None and not 0 < request.combine <= 1:
        raise UsageError(f"--combine {request.combine}: expected a share in (0, 1]")
    try:
        density = None if request.density is None else parse_density(request.density)
    except ValueError as error:
        raise UsageError(f"--density: {error}") from error
    try:
        changes = "" if request.augment is None else parse_augmentation(request.augment)
    except ValueError as error:
        raise UsageError(f"--augment: {error}") from error
    recipe = for_network(RECIPES[request.recipe], kind)
    if kind == "trained":
        _check_trained(request)
    rate = request.learning_rate
    return dataclasses.replace(
        recipe,
        learning_rate=recipe.learning_rate if rate is None else rate,
        steps=recipe.steps if request.steps is None else request.steps,
        batch_size=recipe.batch_size if request.batch_size is None else request.batch_size,
        density=recipe.density if density is None else density,
        transfer=request.transfer,
        combine=request.combine,
        augment=recipe.augment if request.augment is None else changes,
    )


def _check_trained(request: LearnRequest) -> None:
    """Refuse options without a meaning over trained weights, where every task has its own last
    layer.

    Raises:
        UsageError: it was asked for.
    """
    asked = {
        f"--recipe {request.recipe}": request.recipe != "default",
        f"--density {request.density}": request.density is not None,
        "--transfer": request.transfer,
        "--combine": request.combine is not None,
    }
    for what, is_asked in asked.items():
        if is_asked:
            raise UsageError(
                f"{what}: the base is a trained network; its tasks drop a few weights and have "
                "last layers of their own; expected none"
            )


def make_plans(net: OpenNetwork, request: LearnRequest) -> list[Plan]:
    """Name the tasks that were asked for, in order.

    Raises:
        UsageError, NoInputError: unknown or missing data, or names given twice.
        BadNameError: an impossible name.
        LockedError: other processes are learning all tasks that are missing.
        StorageError: there is something to learn, and the bank cannot be written.
    """
    if request.given is not None:
        name = request.given.name
        net.bank.task_path(name)
        if name not in net.bank.tasks():
            net.bank.work.check_claimable(name)
        return [Plan(name, name, request.given.digest)]
    data = names.expand(request.data)
    if not data:
        raise UsageError("--data: none found, expected at least one", hint="supsup data list")
    if request.name is not None and len(data) != 1:
        raise UsageError(f"--name {request.name}: {len(data)} data sets found, expected one")
    tasks = [request.name] if request.name is not None else [names.task_name(one) for one in data]
    seen: set[str] = set()
    for task, one in zip(tasks, data, strict=True):
        net.bank.task_path(task)  # refuses an invalid name before an hour of learning
        if task in seen:
            raise UsageError(f"{one}: task name {task!r} found twice, expected distinct names")
        seen.add(task)
    # Before the data are read: their digests alone may take minutes.
    _check_claimable(net, [task for task in tasks if task not in set(net.bank.tasks())])
    shape = net.bank.record.input.shape
    return [
        Plan(task, one, catalog.digest(one, shape, request.reading), request.reading)
        for task, one in zip(tasks, data, strict=True)
    ]


def _check_claimable(net: OpenNetwork, tasks: Sequence[str]) -> None:
    """Refuse early if other processes are learning every missing task.

    Raises:
        LockedError: they are.
        StorageError: the bank cannot be written.
    """
    held: list[LockedError] = []
    for task in tasks:
        try:
            net.bank.work.check_claimable(task)
        except LockedError as error:
            held.append(error)
    if held and len(held) == len(tasks):
        raise held[0]


def equal_task(net: OpenNetwork, plan: Plan, recipe: Recipe, seed: int) -> Task:
    """Read the task that already has the name, if it is the one that was asked for.

    Raises:
        NameTakenError: it was learned from other data, or in another way.
        BankError: it cannot be read.
    """
    task = net.bank.read_task(plan.task)
    content = task.content
    found = {
        "data": content.data.digest,
        "recipe": (content.recipe.name, asked_settings(content.recipe)),
        "seed": content.seed,
        "steps": content.steps,
    }
    asked = {
        "data": plan.digest,
        "recipe": (recipe.name, recipe.settings()),
        "seed": seed,
        "steps": combination_steps(recipe) if content.kind == "combination" else recipe.steps,
    }
    for key, value in asked.items():
        if found[key] != value:
            bank = shlex.quote(str(net.bank.path))
            why = _changed_rule(net, plan, task) if key == "data" else ""
            raise NameTakenError(
                f"task {plan.task!r}: learned already with {key} {shortened(found[key], 40)}, "
                f"asked for {shortened(value, 40)}{why}; it is unchanged",
                hint=f"supsup learn-task --bank {bank} --data {shlex.quote(plan.data)} --name "
                f"ANOTHER-NAME; or to learn it anew, first: supsup tasks remove {plan.task} "
                f"--bank {bank}",
            )
    return task


def _changed_rule(net: OpenNetwork, plan: Plan, task: Task) -> str:
    """Return whether these are the task's data, and only the rules for folders have changed."""
    if not task.provenance.source:
        return ""  # not a folder
    shape = net.bank.record.input.shape
    reading = catalog.reading_of(plan.data, shape, {task.content.data.digest}, plan.reading)
    if reading is None or not reading.first_rule:
        return ""
    return (
        "; the files are the same, but the rules for folders have changed since; evaluate still "
        "reads it as it was"
    )


def check_classes(
    net: OpenNetwork,
    plan: Plan,
    reading: Reading,
    reporter: Reporter,
    given: TaskData | None = None,
) -> None:
    """Check that the bank has outputs for a task's classes; note if few of them are superfluous.

    Raises:
        TooManyClassesError: the bank has too few real outputs.
        NoInputError, UsageError: the data cannot be used.
    """
    record = net.bank.record
    named = None if given is None else (given.classes, given.outputs)
    classes, outputs = named or catalog.classes_of(plan.data, reading)
    needed = max(outputs) + 1
    if needed > record.real_outputs:
        raise TooManyClassesError(
            f"task {plan.task!r}: {needed} outputs needed for its {len(classes)} classes, the "
            f"bank has {record.real_outputs} real outputs",
            hint=f"supsup init-base --bank ANOTHER-BANK --real-outputs {needed} "
            f"--outputs {needed * (_SUPERFLUOUS_PER_CLASS + 1)}",
        )
    if find_head(net.network) is not None:
        return  # a library's network tells tasks apart without superfluous outputs
    superfluous = record.outputs - len(classes)
    if superfluous < _SUPERFLUOUS_PER_CLASS * len(classes):
        reporter.note(
            f"task {plan.task}: {superfluous} superfluous outputs for {len(classes)} classes; "
            f"with fewer than {_SUPERFLUOUS_PER_CLASS} for each class the task is harder to infer"
        )
