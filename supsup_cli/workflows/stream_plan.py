"""A stream as it was asked for: which data in which order, and the batches that come of it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from supsup_cli.core.learning import batches
from supsup_cli.core.recipes import STREAM
from supsup_cli.core.seeds import generator
from supsup_cli.core.streams import RULES, Rule, StreamSettings
from supsup_cli.data import catalog, names
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.learning_plan import Plan
from supsup_cli.workflows.measuring import labelled
from supsup_cli.workflows.opening import OpenNetwork

_WITHOUT_END = 2**31 - 1


@dataclass(frozen=True)
class StreamRequest:
    """What the stream brings, and how it is learned.

    Attributes:
        data: visits in their order; a data set may come again.
        visit: batches of each visit.
        name: tasks become NAME-0, NAME-1, …
        budget: masks that may be opened.
        check_every: batches between two comparisons of all masks.
        rule: one of `RULES`.
        batch_size: images of a batch.
        seed: of every draw.
        device: where to compute.
    """

    data: Sequence[str]
    visit: int
    name: str
    budget: int
    check_every: int
    rule: str
    batch_size: int
    seed: int
    device: str


@dataclass(frozen=True)
class StreamPlan:
    """A checked request.

    Attributes:
        visits: one plan for each visit; its task is the name that the data would have.
        settings: of the learner.
        digest: SHA-256 of all that decides what is learned.
    """

    visits: tuple[Plan, ...]
    settings: StreamSettings
    digest: str


def plan_stream(net: OpenNetwork, request: StreamRequest) -> StreamPlan:
    """Check every name and number before anything is learned.

    Raises:
        UsageError, NoInputError: data that is not known or not there, an unknown rule.
        BadNameError: no task can be named so.
    """
    rule: Rule | None = next((one for one in RULES if one == request.rule), None)
    if rule is None:
        raise UsageError(f"--rule {request.rule}: expected {' or '.join(RULES)}")
    for number in (0, request.budget - 1):
        net.bank.task_path(f"{request.name}-{number}")
    # Each value by itself: data may come again, which one list of names may not hold.
    data = [one for value in request.data for one in names.expand([value])]
    if not data:
        raise UsageError("--data: none found, expected at least one", hint="supsup data list")
    shape = net.bank.record.input.shape
    digests = {one: catalog.digest(one, shape) for one in dict.fromkeys(data)}
    visits = tuple(Plan(names.task_name(one), one, digests[one]) for one in data)
    asked = asdict(request) | {"data": [plan.digest for plan in visits]}
    asked = {key: value for key, value in asked.items() if key not in ("name", "device")}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    settings = StreamSettings(request.budget, request.check_every, rule, request.seed)
    return StreamPlan(visits, settings, hashlib.sha256(text.encode()).hexdigest())


def stream_batches(
    net: OpenNetwork, plan: StreamPlan, request: StreamRequest
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw the batches of all visits; data that comes again goes on where it was.

    Yields:
        (B, C, H, W) uint8 images and (B,) int64 outputs on the network's device, and no word of
        which data they are.

    Raises:
        NoInputError, UsageError: data that cannot be read.
    """
    orders: dict[str, Iterator[Tensor]] = {}
    endless = replace(STREAM, steps=_WITHOUT_END, batch_size=request.batch_size)
    shape = net.bank.record.input.shape
    for visit in plan.visits:
        # Read again at each visit: all data sets of a long stream would not fit into memory.
        data = catalog.load(visit.data, shape, seed=request.seed)
        if len(data.train) == 0:
            raise NoInputError(f"{visit.data}: no training image found, expected at least one")
        outputs = torch.tensor(data.outputs, device=net.device)
        train = labelled(net, data.train, outputs)
        stream = generator(request.seed, "stream", visit.data)
        order = orders.setdefault(visit.data, batches(len(data.train), endless, stream))
        for _ in range(request.visit):
            picked = next(order).to(net.device)
            yield train.images[picked], train.targets[picked]
