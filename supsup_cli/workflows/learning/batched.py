"""Learn many tasks in one program, block by block, for a GPU that one task leaves idle.

Each task is committed as soon as its block is learned. A block that is stopped earlier starts anew
the next time, because it takes seconds and its state would be as large as that of all its tasks.
"""

import dataclasses
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from bank_format.errors import BankError, LockedError
from bank_format.kinds.state import WorkFolder
from supsup_cli.core.images import LabelledImages
from supsup_cli.core.learning.many_tasks import ManyLearnings, learns_together
from supsup_cli.core.masks.density import mask_values
from supsup_cli.core.networks.specs import MultilayerPerceptron
from supsup_cli.errors import SupsupError, UsageError
from supsup_cli.workflows.labelled import labelled
from supsup_cli.workflows.learning.one_task import discard_state, mask_arrays, measured_facts
from supsup_cli.workflows.learning.plan import LearningJob, Plan, equal_task
from supsup_cli.workflows.learning.session import LearnSession
from supsup_cli.workflows.learning.task_facts import provenance
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.reporting import Advance

# With so many tasks a GPU is busy with steps of LeNet; more would only take more memory.
_MOST = 128
_MEMORY_SHARE = 0.4  # of the device's memory: activations and other processes need room too
_COPIES = 2  # copies of images that a task does not share, while they are laid end to end
# Scores, weights, masked weights, gradients and two moments, float32 each.
_BYTES_PER_WEIGHT = 6 * 4


@dataclass(frozen=True)
class _BatchMember:
    """A task of a block: claimed, with its training images only on the device."""

    plan: Plan
    job: LearningJob
    work: WorkFolder
    train: LabelledImages


def fits_together(session: LearnSession) -> bool:
    """Return whether a session's tasks can be learned together: perceptrons, plain steps.

    It depends only on the request, not on what is left of it. On a GPU, tasks learned together get
    scores that differ from those of one task by the rounding of batched products.
    """
    perceptron = isinstance(session.net.network, MultilayerPerceptron)
    several = len(session.plans) > 1 and not session.request.detect
    drawn = session.net.bank.record.init != "weights"
    return perceptron and several and drawn and learns_together(session.recipe)


def learn_together(
    session: LearnSession, left: Sequence[Plan], advance: Advance, most: int = _MOST
) -> list[Plan]:
    """Learn tasks in blocks, in order.

    Args:
        session: one that fits together.
        left: what to learn of it.
        advance: called with the steps just done, of all tasks together.
        most: tasks in a block; fewer if the device lacks memory.

    Returns:
        those that other processes are learning.

    Raises:
        KeyboardInterrupt: it was stopped; one line says how far the block got.
        UsageError, NoInputError: a task cannot be learned; those before it are, and the rest of its
            block.
        BankError: the bank cannot be written.
    """
    waiting, elsewhere = list(left), []
    while waiting:
        with ExitStack() as claims:
            began = time.monotonic()
            block: list[_BatchMember] = []
            memory = _memory(session.net.device)
            while waiting and len(block) < most and memory > 0:
                plan = waiting.pop(0)
                try:
                    member = _claimed(session, plan, claims, advance)
                except LockedError:
                    session.reporter.note(
                        f"task {plan.task}: another process learns it; its turn is last"
                    )
                    elsewhere.append(plan)
                except (SupsupError, BankError):
                    if not block:
                        raise
                    waiting.insert(0, plan)  # reported once the block is learned
                    break
                else:
                    if member is not None:
                        memory -= _bytes(session.net, member)
                        block.append(member)
            if block:
                _learn_block(session, block, began, advance)
    return elsewhere


def _claimed(
    session: LearnSession, plan: Plan, claims: ExitStack, advance: Advance
) -> _BatchMember | None:
    """Claim a task and read its data; None if it has been committed meanwhile.

    Raises:
        LockedError: another process is learning it.
        UsageError, NoInputError: it has no data to learn from.
    """
    if session.stop.asked:
        raise KeyboardInterrupt
    net, seed = session.net, session.request.seed
    work = claims.enter_context(net.bank.work.claim(plan.task))
    if plan.task in net.bank.tasks():
        session.found(equal_task(net, plan, session.recipe, seed))
        advance(session.recipe.steps)
        return None
    data = session.read(plan)
    if len(data.train) == 0:
        discard_state(work)
        raise UsageError(f"task {plan.task!r}: no training images")
    train = labelled(net, data.train, torch.tensor(data.outputs, device=net.device))
    # All tasks' training images would fill the memory of the host too.
    rest = dataclasses.replace(data, train=data.train.take(slice(0)))
    return _BatchMember(
        plan,
        LearningJob(plan.task, rest, session.recipe, seed, session.request.signature),
        work,
        train,
    )


def _learn_block(
    session: LearnSession, block: Sequence[_BatchMember], began: float, advance: Advance
) -> None:
    """Take all steps of a block's tasks, then measure and commit one by one."""
    count = len(block)
    session.reporter.note(f"{count} tasks in one program, {block[0].plan.task} the first")
    learning = ManyLearnings(
        session.net.network,
        [member.train for member in block],
        session.net.pixels,
        session.recipe,
        seed=session.request.seed,
        tasks=[member.plan.task for member in block],
    )
    with session.stop.steps():
        while not learning.done and not session.stop.asked:
            learning.advance()
            advance(count)
        if not learning.done:
            place = f"step {learning.steps_done} of {session.recipe.steps}"
            raise KeyboardInterrupt(f"{count} tasks at {place}, which begin anew")
    seconds = (time.monotonic() - began) / count
    diverged: list[UsageError] = []
    for index, member in enumerate(block):
        if session.stop.asked:  # while the task before was committed
            raise KeyboardInterrupt
        try:
            _commit(session, member, learning, index, seconds)
        except UsageError as error:
            diverged.append(error)
    if diverged:
        raise diverged[0]


def _commit(
    session: LearnSession, member: _BatchMember, learning: ManyLearnings, index: int, seconds: float
) -> None:
    net, job = session.net, member.job
    try:
        masks = learning.masks(index)
    except ValueError as error:
        discard_state(member.work)
        raise UsageError(f"task {job.task!r}: {error}") from error
    values = mask_values(masks, sparse=False)
    facts, arrays = measured_facts(net, job, member.train, values, (), job.recipe.steps)
    bits, made = mask_arrays(masks), provenance(net, job.data.source, seconds)
    with session.stop.steps():
        task = net.bank.add_task(facts, bits, {}, made, arrays)
        discard_state(member.work)
    session.learned(task)


def _memory(device: torch.device) -> float:
    """Return how many bytes a block may take: the same for one device, whatever else runs."""
    if device.type != "cuda":
        return float("inf")
    total: int = torch.cuda.get_device_properties(device).total_memory
    return _MEMORY_SHARE * total


def _bytes(net: OpenNetwork, member: _BatchMember) -> int:
    weights = sum(one.count for one in net.bank.record.masked)
    own = member.train.store if member.train.rows is None else member.train.rows
    return _COPIES * own.nbytes + _BYTES_PER_WEIGHT * weights
