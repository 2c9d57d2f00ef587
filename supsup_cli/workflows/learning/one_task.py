"""Learn one claimed task: from its data, or from where it stopped, up to its commit."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bank_format.errors import StorageError
from bank_format.kinds.mask import Task
from bank_format.kinds.state import WorkFolder
from bank_format.kinds.task_arrays import HEAD_BIAS, HEAD_WEIGHT, Arrays
from bank_format.kinds.task_records import (
    ClassRecord,
    DataRecord,
    ParentRecord,
    Provenance,
    TaskFacts,
)
from supsup_cli.core.images import LabelledImages
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.trained import TrainedLearning
from supsup_cli.core.masks.density import mask_values
from supsup_cli.core.masks.masks import Masks, kept_scores
from supsup_cli.core.networks.head import head_values
from supsup_cli.core.networks.normalisation import Statistics, joined
from supsup_cli.core.networks.parts import Between
from supsup_cli.core.networks.specs import Kind, kind_of
from supsup_cli.errors import UsageError
from supsup_cli.workflows.labelled import labelled
from supsup_cli.workflows.learning.checkpoints import Checkpoints, plan_digest
from supsup_cli.workflows.learning.parents import Combination, combine, earlier_masks
from supsup_cli.workflows.learning.plan import LearningJob
from supsup_cli.workflows.learning.task_facts import (
    accuracy,
    calibration,
    provenance,
    recipe_record,
)
from supsup_cli.workflows.learning.threads import threads_restored
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.reporting import Advance, Reporter, Stop
from supsup_cli.workflows.signatures import make_signature
from supsup_cli.workflows.task_values import NORMALISATION


@threads_restored()
def learn_job(
    net: OpenNetwork,
    job: LearningJob,
    work: WorkFolder,
    reporter: Reporter,
    stop: Stop,
    advance: Advance,
) -> Task:
    """Learn a task's masks, measure them and commit them; remove its unfinished work.

    Args:
        net: the open network.
        job: what to learn.
        work: folder of the task, which the caller has claimed.
        reporter: gets notes.
        stop: says when to stop.
        advance: called with the steps just done, including those of an earlier run.

    Raises:
        KeyboardInterrupt: it was stopped; one line says how far it got and what is kept.
        UsageError: the data cannot be learned.
        BankError: the bank cannot be written.
    """
    data, recipe = job.data, job.recipe
    plan = plan_digest(job.task, data.digest, recipe, job.seed, net.device.type)
    checkpoints = Checkpoints(work, plan, reporter)
    train = labelled(net, data.train, torch.tensor(data.outputs, device=net.device))
    try:
        learning = _begun(net, job, train, checkpoints, reporter)
        if not isinstance(learning, Combination):
            advance(learning.steps_done)
            _take_steps(job, learning, checkpoints, stop, advance)
            advance(recipe.steps - learning.steps_done)
            masks = learning.masks()
    except ValueError as error:
        discard_state(work)
        raise UsageError(f"task {job.task!r}: {error}") from error
    if isinstance(learning, Combination):
        advance(recipe.steps)
        add = _combined(net, job, train, learning)
    else:
        add = _measured(net, job, train, learning, masks, checkpoints)
    made = provenance(net, data.source, checkpoints.seconds())
    with stop.steps():  # it takes a moment, and is reported only when done
        task = add(made)
        discard_state(work)
    return task


def _measured(
    net: OpenNetwork,
    job: LearningJob,
    train: LabelledImages,
    learning: Learning | TrainedLearning,
    masks: Masks,
    checkpoints: Checkpoints,
) -> Callable[[Provenance], Task]:
    """Measure the learned masks, and make the function that adds their task to the bank.

    Raises:
        KeyboardInterrupt: as `learn_job`.
    """
    recipe = job.recipe
    try:
        statistics = learning.statistics()
        values = mask_values(masks, sparse=recipe.density is not None) | statistics
        head = learning.head()
        if head is not None:
            rows = torch.tensor(job.data.outputs, device=net.device)
            values |= head_values(net.network, *head, rows, net.bank.record.outputs)
        facts, arrays = measured_facts(
            net, job, train, values, checkpoints.parents, recipe.steps, learning.lower()
        )
        arrays = {**arrays, **_head_arrays(head)}
    except KeyboardInterrupt:
        raise _stopped(job, learning, checkpoints) from None
    facts = dataclasses.replace(facts, recipe=recipe_record(recipe, learning.kept_step))
    return partial(net.bank.add_task, facts, mask_arrays(masks), _kept(statistics), arrays=arrays)


def _combined(
    net: OpenNetwork, job: LearningJob, train: LabelledImages, made: Combination
) -> Callable[[Provenance], Task]:
    """Measure a combination of earlier masks, and make the function that adds its task."""
    values = made.masks | made.statistics
    facts, arrays = measured_facts(net, job, train, values, made.parents, made.steps)
    return partial(
        net.bank.add_combination, facts, made.coefficients, _kept(made.statistics), arrays=arrays
    )


def _begun(
    net: OpenNetwork,
    job: LearningJob,
    train: LabelledImages,
    checkpoints: Checkpoints,
    reporter: Reporter,
) -> Learning | TrainedLearning | Combination:
    """Continue where an earlier run stopped, or start; a good enough combination ends it.

    An earlier run's state holds what it found in the bank, so that is not searched again.
    """
    recipe = job.recipe
    left = checkpoints.resume(lambda: _opened(net, job, train))
    if left is not None:
        return left
    earlier = None
    if recipe.transfer or recipe.combine is not None:
        earlier = earlier_masks(net, train, recipe, reporter)
        if earlier is None:
            reporter.note(f"task {job.task}: no earlier mask to start from or to combine")
    if earlier is not None and recipe.combine is not None:
        made = combine(net, earlier, train, job)
        names = ", ".join(parent.task for parent in made.parents)
        reporter.note(
            f"task {job.task}: combining {names} classifies {made.accuracy:.2%} of the "
            f"calibration images, {recipe.combine:.2%} asked for"
        )
        if made.accuracy >= recipe.combine:
            return made
    if earlier is None or not recipe.transfer:
        return _opened(net, job, train)
    checkpoints.parents = earlier.parents
    return _opened(net, job, train, earlier.scores(recipe, job.seed, job.task))


def discard_state(work: WorkFolder) -> None:
    """Remove what is left of the work, if possible; leaving it does no harm."""
    with suppress(StorageError):
        work.discard()


def _opened(
    net: OpenNetwork, job: LearningJob, train: LabelledImages, start: Masks | None = None
) -> Learning | TrainedLearning:
    outputs = torch.tensor(job.data.outputs, device=net.device)
    kind = kind_of(net.network)
    precision = precision_of(kind, net.device)
    if kind == "trained":
        return TrainedLearning(
            net.network,
            tuple(net.layout.shapes),
            train,
            net.pixels,
            job.recipe,
            seed=job.seed,
            task=job.task,
            rows=outputs,
            precision=precision,
        )
    if start is None and net.bank.record.init == "weights":
        start = kept_scores(net.layout.shapes, seed=job.seed, task=job.task)
    return Learning(
        net.network,
        tuple(net.layout.shapes),
        train,
        net.pixels,
        job.recipe,
        seed=job.seed,
        task=job.task,
        start=start,
        held_out=labelled(net, job.data.calibration, outputs),
        precision=precision,
    )


def precision_of(kind: Kind, device: torch.device) -> torch.dtype:
    """Choose the precision of products while learning: 16 bits for convolutions on a GPU."""
    mixed = kind in ("convolution", "trained") and device.type == "cuda"
    return torch.bfloat16 if mixed else torch.float32


def _take_steps(
    job: LearningJob,
    learning: Learning | TrainedLearning,
    checkpoints: Checkpoints,
    stop: Stop,
    advance: Advance,
) -> None:
    with stop.steps():
        while not learning.done and not stop.asked:
            learning.advance()
            advance(1)
            checkpoints.after_step(learning)
        if stop.asked:
            raise _stopped(job, learning, checkpoints)


def _stopped(
    job: LearningJob, learning: Learning | TrainedLearning, checkpoints: Checkpoints
) -> KeyboardInterrupt:
    saved = "saved" if checkpoints.save(learning) else "which could not be saved"
    place = f"step {learning.steps_done} of {job.recipe.steps}"
    return KeyboardInterrupt(f"task {job.task!r} at {place}, {saved}")


def mask_arrays(tensors: Masks) -> dict[str, np.ndarray]:
    """Convert masks to what the bank takes: parameter name → bool array of its shape."""
    return {name: np.asarray(tensor.cpu()) for name, tensor in tensors.items()}


def _head_arrays(head: tuple[Tensor, Tensor] | None) -> dict[str, np.ndarray]:
    """Convert a head to what the bank takes: weight and bias, float16; empty if there is none."""
    if head is None:
        return {}
    weight, bias = (np.asarray(one.cpu()) for one in head)
    return {HEAD_WEIGHT: weight, HEAD_BIAS: bias}


def _kept(statistics: Statistics) -> dict[str, np.ndarray]:
    return {NORMALISATION: np.asarray(joined(statistics))} if statistics else {}


def measured_facts(
    net: OpenNetwork,
    job: LearningJob,
    train: LabelledImages,
    values: Masks,
    parents: tuple[ParentRecord, ...],
    steps: int,
    lower: Between | None = None,
) -> tuple[TaskFacts, Arrays]:
    """Measure a task's masks and statistics, name → float32, and collect the task's content.

    `lower` is what lies below the masks of all training images, if that is known.

    Returns:
        the content, and the arrays of the task's signature; empty if none was asked for.
    """
    data, recipe = job.data, job.recipe
    outputs = torch.tensor(data.outputs, device=net.device)
    held_out = labelled(net, data.calibration, outputs)
    made = None
    if job.signature:
        made = make_signature(net, train, held_out, job.seed, job.task, lower)
    signature, arrays = made or (None, {})
    facts = TaskFacts(
        task=job.task,
        classes=tuple(map(ClassRecord, data.classes, data.outputs)),
        data=DataRecord(data.name, data.digest),
        recipe=recipe_record(recipe),
        seed=job.seed,
        steps=steps,
        accuracy=accuracy(net, values, data.test, outputs),
        calibration=calibration(net, values, data.calibration, outputs),
        parents=parents,
        signature=signature,
    )
    return facts, arrays
