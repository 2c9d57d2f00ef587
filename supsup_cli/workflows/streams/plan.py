"""A stream as requested: which data in which order, and the batches drawn from them."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from supsup_cli.choices import check_choice
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.networks.head import find_head
from supsup_cli.core.networks.normalisation import blank_statistics
from supsup_cli.core.seeds import generator
from supsup_cli.core.streams.stream_learner import RULES, Rule, StreamSettings
from supsup_cli.data import catalog, names
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import TaskData
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.labelled import labelled
from supsup_cli.workflows.learning.plan import Plan
from supsup_cli.workflows.opening import OpenNetwork


@dataclass(frozen=True)
class StreamRequest:
    """What the stream consists of, and how it is learned.

    Attributes:
        data: visits in order; a data set may come again.
        visit: batches of each visit.
        name: tasks become NAME-0, NAME-1, …
        budget: number of masks that may be opened.
        check_every: batches between two comparisons of all masks.
        rule: one of `RULES`.
        batch_size: images per batch.
        seed: of every draw.
        device: where to compute.
        reading: where data are; an image file with more pixels than it allows is left out.
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
    reading: Reading = DEFAULT


@dataclass(frozen=True)
class StreamPlan:
    """A checked request.

    Attributes:
        visits: one plan for each visit; its task is the name that the data would have.
        settings: of the learner.
        digest: SHA-256 of all that decides what is learned.
        batches: of all visits together.
    """

    visits: tuple[Plan, ...]
    settings: StreamSettings
    digest: str
    batches: int


def task_of(request: StreamRequest, number: int) -> str:
    """Name the task of a stream's mask, counted from 0 in the order of opening."""
    return f"{request.name}-{number}"


def plan_stream(net: OpenNetwork, request: StreamRequest) -> StreamPlan:
    """Check every name and number before anything is learned.

    Raises:
        UsageError, NoInputError: unknown or missing data, an unknown rule, or a network that
            normalises.
        BadNameError: no task can have such a name.
        LockedError: another process is learning a stream of that name.
        StorageError: there is something to learn, and the bank cannot be written.
    """
    check_choice("--rule", request.rule, RULES)
    rule: Rule = next(one for one in RULES if one == request.rule)
    if blank_statistics(net.network, net.device):
        # A batch must be normalised by its task's statistics, but its task is what a stream must
        # find out.
        raise UsageError(
            f"{net.bank.path}: {net.bank.record.arch} normalises by each task's own statistics, "
            "expected a network that does not",
            hint="supsup init-base --bank ANOTHER-BANK --arch lenet-300-100",
        )
    if find_head(net.network) is not None:
        raise UsageError(
            f"{net.bank.path}: tasks of {net.bank.record.arch} have last layers of their own, "
            "expected a network with one for all tasks",
            hint="supsup init-base --bank ANOTHER-BANK --arch lenet-300-100",
        )
    for number in (0, request.budget - 1):
        net.bank.task_path(task_of(request, number))
    if task_of(request, 0) not in net.bank.tasks():
        net.bank.work.check_claimable(task_of(request, 0))  # before the data are read
    # Resolve each value by itself: data may come again, which a list of names does not allow.
    data = [one for value in request.data for one in names.expand([value])]
    if not data:
        raise UsageError("--data: none found, expected at least one", hint="supsup data list")
    shape = net.bank.record.input.shape
    digests = {one: catalog.digest(one, shape, request.reading) for one in dict.fromkeys(data)}
    visits = tuple(Plan(names.task_name(one), one, digests[one]) for one in data)
    asked = asdict(request) | {"data": [plan.digest for plan in visits]}
    left_out = ("name", "device", "reading")
    asked = {key: value for key, value in asked.items() if key not in left_out}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    settings = StreamSettings(request.budget, request.check_every, rule, request.seed)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return StreamPlan(visits, settings, digest, len(visits) * request.visit)


def stream_batches(
    net: OpenNetwork,
    plan: StreamPlan,
    request: StreamRequest,
    read: Callable[[str], TaskData],
    first: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw the batches of all visits; data that comes again continues where it was.

    Args:
        net: the open network.
        plan: which data, in which order.
        request: batches of each visit, their size, the seed.
        read: reads data by name.
        first: number of batches to skip, as if they had been drawn.

    Yields:
        (B, C, H, W) uint8 images and (B,) int64 outputs on the network's device, without saying
        which data they are from.

    Raises:
        NoInputError, UsageError: the data cannot be read.
    """
    orders: dict[str, BatchOrder] = {}
    passed: Counter[str] = Counter()
    for number, visit in enumerate(plan.visits):
        left = request.visit - max(0, first - number * request.visit)
        if left <= 0:
            passed[visit.data] += request.visit
            continue
        data = read(visit.data)
        if len(data.train) == 0:
            raise NoInputError(f"{visit.data}: no training image found, expected at least one")
        outputs = torch.tensor(data.outputs, device=net.device)
        train = labelled(net, data.train, outputs)
        stream = generator(request.seed, "stream", visit.task)  # wherever it lies
        fresh = BatchOrder(len(data.train), request.batch_size, stream)
        order = orders.setdefault(visit.data, fresh)
        for _ in range(passed.pop(visit.data, 0) + request.visit - left):
            order.next_batch()
        for _ in range(left):
            picked = order.next_batch().to(net.device)
            yield train.take(picked), train.targets[picked]
