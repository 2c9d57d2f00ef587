"""`learn-stream`: learn tasks from batches whose boundaries nobody tells (scenario NNs)."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bank_format.errors import NameTakenError
from bank_format.task_file import Task
from bank_format.task_records import ClassRecord, DataRecord, RecipeRecord, TaskFacts
from supsup_cli.core.open_masks import AVERAGING, FrozenNetwork, OpenMask
from supsup_cli.core.recipes import STREAM
from supsup_cli.core.streams import Decision, StreamLearner
from supsup_cli.data import catalog
from supsup_cli.errors import UsageError
from supsup_cli.workflows.learning_plan import Plan, check_classes
from supsup_cli.workflows.measuring import accuracy, calibration, describe, provenance
from supsup_cli.workflows.opening import OpenNetwork, open_network
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results import LearnedTask
from supsup_cli.workflows.stream_plan import StreamPlan, StreamRequest, plan_stream, stream_batches
from supsup_cli.workflows.stream_results import StreamDecision, StreamResult


def learn_stream(path: Path, request: StreamRequest, reporter: Reporter) -> StreamResult:
    """Learn a stream to its end, then commit each mask once, as NAME-0, NAME-1, …

    The learner is given batches and nothing else. When it is done, and only then, each mask is
    named, measured and calibrated by the data that most of its batches came from.

    A stream that was learned before is left alone; one that was stopped begins again.

    Raises:
        UsageError, NoInputError, TooManyClassesError: what was asked for cannot be learned.
        NameTakenError: a name that the stream may need is another task's.
        LockedError: another process is learning a stream of that name.
        BankError: the bank cannot be read or written.
    """
    began = time.perf_counter()
    net = open_network(path, request.device)
    plan = plan_stream(net, request)
    with net.bank.claim(f"{request.name}-0"):
        there = _there(net, plan, request)
        total = len(plan.visits) * request.visit
        if there and len(there) == there[0].content.recipe.settings["masks"]:
            done = tuple(describe(task, "exists", 0.0) for task in there)
            return StreamResult(done, (), total, request.rule, time.perf_counter() - began)
        for visit in {visit.data: visit for visit in plan.visits}.values():
            check_classes(net, visit, reporter)
        weights = {name: net.network.get_parameter(name) for name in net.layout.shapes}
        learner = StreamLearner(FrozenNetwork(net.network, weights, net.pixels), plan.settings)
        decisions: list[Decision] = []
        with reporter.track("learning", total, "batches") as advance:
            for images, targets in stream_batches(net, plan, request):
                decision = learner.feed(images, targets)
                decisions += [] if decision is None else [decision]
                advance(1)
        if not all(mask.finite for mask in learner.masks):
            raise UsageError("learning diverged: scores are no longer finite")
        seconds = time.perf_counter() - began
        homes = homes_of(decisions, plan.visits, request.visit)
        tasks = tuple(
            _commit(net, plan, request, learner.masks, homes, number, seconds)
            for number in range(len(learner.masks))
        )
    told = tuple(
        StreamDecision(one.batch, None if one.mask is None else _name(request, one.mask), one.new)
        for one in decisions
    )
    return StreamResult(tasks, told, total, request.rule, time.perf_counter() - began)


def homes_of(decisions: Sequence[Decision], visits: Sequence[Plan], visit: int) -> dict[int, Plan]:
    """Find the data that most of each mask's batches came from, the earlier among equals.

    Args:
        decisions: of the learner, in order.
        visits: what the stream brought.
        visit: batches of each visit.

    Returns:
        mask → the plan of its data.
    """
    ends = [one.batch for one in decisions[1:]] + [len(visits) * visit]
    seen: dict[int, Counter[Plan]] = {}
    for one, end in zip(decisions, ends, strict=True):
        if one.mask is not None:
            brought = (visits[batch // visit] for batch in range(one.batch, end))
            seen.setdefault(one.mask, Counter()).update(brought)
    return {mask: counts.most_common(1)[0][0] for mask, counts in seen.items()}


def _commit(
    net: OpenNetwork,
    plan: StreamPlan,
    request: StreamRequest,
    masks: Sequence[OpenMask],
    homes: dict[int, Plan],
    number: int,
    seconds: float,
) -> LearnedTask:
    name = _name(request, number)
    learned = masks[number].masks()
    home = homes[number]
    data = catalog.load(home.data, net.bank.record.input.shape, seed=request.seed)
    outputs = torch.tensor(data.outputs, device=net.device)
    floats = {key: mask.to(torch.float32) for key, mask in learned.items()}
    settings = STREAM.settings() | {"batch_size": request.batch_size}
    settings |= {"averaging": AVERAGING, "stream": plan.digest, "masks": len(masks)}
    facts = TaskFacts(
        task=name,
        classes=tuple(map(ClassRecord, data.classes, data.outputs)),
        data=DataRecord(data.name, data.digest),
        recipe=RecipeRecord(STREAM.name, settings),
        seed=request.seed,
        steps=masks[number].steps,
        accuracy=accuracy(net, floats, data.test, outputs),
        calibration=calibration(net, floats, data.calibration, outputs),
    )
    if name in net.bank.tasks():
        return describe(_equal(net, plan, name), "exists", 0.0)
    arrays = {key: np.asarray(mask.cpu()) for key, mask in learned.items()}
    made = provenance(net, data.source, seconds)
    return describe(net.bank.add_task(facts, arrays, {}, made), "learned", seconds)


def _there(net: OpenNetwork, plan: StreamPlan, request: StreamRequest) -> list[Task]:
    """Read the tasks that this very stream has left in the bank, in their order.

    Raises:
        NameTakenError: a name that the stream may need is another task's.
    """
    taken = set(net.bank.tasks())
    names = (_name(request, number) for number in range(request.budget))
    return [_equal(net, plan, name) for name in names if name in taken]


def _equal(net: OpenNetwork, plan: StreamPlan, name: str) -> Task:
    task = net.bank.read_task(name)
    if task.content.recipe.settings.get("stream") != plan.digest:
        raise NameTakenError(
            f"task {name!r}: learned already, and not from this stream; it is unchanged",
            hint="give the stream's tasks another --name",
        )
    return task


def _name(request: StreamRequest, number: int) -> str:
    return f"{request.name}-{number}"
