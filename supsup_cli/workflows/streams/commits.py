"""Turn open masks into tasks: name, measure and commit each once its stream has ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from bank_format.errors import NameTakenError
from bank_format.kinds.mask import Task
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import ClassRecord, DataRecord, RecipeRecord, TaskFacts
from supsup_cli.core.learning.recipes import STREAM
from supsup_cli.core.streams.stream_learner import StreamDecision
from supsup_cli.core.streams.stream_masks import AVERAGING, StreamMask
from supsup_cli.workflows.labelled import labelled
from supsup_cli.workflows.learning.plan import Plan
from supsup_cli.workflows.learning.task_facts import accuracy, calibration, describe, provenance
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.results.learning import LearnedTask
from supsup_cli.workflows.signatures import make_signature
from supsup_cli.workflows.streams.data import StreamData
from supsup_cli.workflows.streams.plan import StreamPlan, StreamRequest, task_of


@dataclass(frozen=True)
class StreamCommits:
    """The tasks of one stream, as they are committed.

    Attributes:
        net: the open network.
        plan: of the stream.
        request: of the stream.
        data: of the stream.
        done: tasks that were committed, or were there already.
    """

    net: OpenNetwork
    plan: StreamPlan
    request: StreamRequest
    data: StreamData
    done: list[LearnedTask] = field(default_factory=list)

    def measure(
        self, mask: StreamMask, number: int, home: Plan, masks: int
    ) -> tuple[TaskFacts, Arrays, str]:
        """Measure a mask and calibrate it on the data that most of its batches came from.

        Args:
            mask: as the stream left it.
            number: of the mask, in the order of opening.
            home: those data.
            masks: number of masks that the stream has opened.

        Returns:
            the task's content, the arrays of its signature, and where its data came from.

        Raises:
            NoInputError, UsageError: the data cannot be read.
        """
        net, request = self.net, self.request
        data = self.data.read(home.data)
        outputs = torch.tensor(data.outputs, device=net.device)
        floats = {key: bits.to(torch.float32) for key, bits in mask.masks().items()}
        settings = STREAM.settings() | {"batch_size": request.batch_size}
        settings |= {"averaging": AVERAGING, "stream": self.plan.digest, "masks": masks}
        name = task_of(request, number)
        made = make_signature(
            net,
            labelled(net, data.train, outputs),
            labelled(net, data.calibration, outputs),
            request.seed,
            name,
        )
        signature, arrays = made or (None, {})
        facts = TaskFacts(
            task=name,
            classes=tuple(map(ClassRecord, data.classes, data.outputs)),
            data=DataRecord(data.name, data.digest),
            recipe=RecipeRecord(STREAM.name, settings),
            seed=request.seed,
            steps=mask.steps,
            accuracy=accuracy(net, floats, data.test, outputs),
            calibration=calibration(net, floats, data.calibration, outputs),
            signature=signature,
        )
        return facts, arrays, data.source

    def commit(
        self, mask: StreamMask, facts: TaskFacts, arrays: Arrays, source: str, seconds: float
    ) -> None:
        """Commit a mask, unless an earlier run of the same stream did.

        Raises:
            NameTakenError: a task that is not of this stream has the name.
            BankError: the bank cannot be read or written.
        """
        net = self.net
        if facts.task in net.bank.tasks():
            there = task_of_stream(net, self.plan, facts.task)
            self.done.append(describe(there, "exists", 0.0))
            return
        masks = {key: np.asarray(bits.cpu()) for key, bits in mask.masks().items()}
        made = provenance(net, source, seconds)
        task = net.bank.add_task(facts, masks, {}, made, arrays)
        self.done.append(describe(task, "learned", seconds))


def homes_of(
    decisions: Sequence[StreamDecision], visits: Sequence[Plan], visit: int
) -> dict[int, Plan]:
    """Find the data that most of each mask's batches came from; the earlier data if equal.

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


def tasks_of(net: OpenNetwork, plan: StreamPlan, request: StreamRequest) -> list[Task]:
    """Read the tasks that this stream has committed to the bank, in order.

    Raises:
        NameTakenError: a name that the stream may need is another task's.
        BankError: a task cannot be read.
    """
    taken = set(net.bank.tasks())
    names = (task_of(request, number) for number in range(request.budget))
    return [task_of_stream(net, plan, name) for name in names if name in taken]


def task_of_stream(net: OpenNetwork, plan: StreamPlan, name: str) -> Task:
    """Read a task, if it belongs to this stream.

    Raises:
        NameTakenError: it is not.
        BankError: it cannot be read.
    """
    task = net.bank.read_task(name)
    if task.content.recipe.settings.get("stream") != plan.digest:
        raise NameTakenError(
            f"task {name!r}: learned already, and not from this stream; it is unchanged",
            hint="give the stream's tasks another --name; if the task came while the stream was "
            "learned: copy it (supsup tasks copy --as), remove it, type the same command again",
        )
    return task
