"""Learning one task that was claimed: from its data, or from where it stopped, to its commit."""

import dataclasses
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from bank_format.errors import StorageError
from bank_format.kinds.mask import Task
from bank_format.kinds.state import WorkRoom
from bank_format.kinds.task_records import ClassRecord, DataRecord, ParentRecord, TaskFacts
from supsup_cli.core.images import LabelledImages
from supsup_cli.core.inference.single_mask import measure_traits
from supsup_cli.core.learning.bn_recalibration import sample_batches
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import Kind
from supsup_cli.core.masks.density import mask_values
from supsup_cli.core.masks.masks import Masks, kept_scores
from supsup_cli.core.networks.normalisation import Statistics, joined
from supsup_cli.core.networks.specs import kind_of
from supsup_cli.core.networks.traits import TypicalTraits
from supsup_cli.core.seeds import generator
from supsup_cli.errors import UsageError
from supsup_cli.workflows.learning.checkpoints import Checkpoints, plan_digest
from supsup_cli.workflows.learning.lessons import Lesson
from supsup_cli.workflows.learning.parents import Combination, combine, earlier_masks
from supsup_cli.workflows.learning.task_facts import (
    accuracy,
    calibration,
    labelled,
    provenance,
    recipe_record,
)
from supsup_cli.workflows.opening import NORMALISATION, TRAITS, OpenNetwork
from supsup_cli.workflows.reporting import Advance, Reporter
from supsup_cli.workflows.stopping import Stop

# Images that the traits of a task are measured on, at most.
_TRAIT_IMAGES = 512


def learn_lesson(
    net: OpenNetwork,
    lesson: Lesson,
    room: WorkRoom,
    reporter: Reporter,
    stop: Stop,
    advance: Advance,
) -> Task:
    """Learn a task's masks, measure them and commit them; nothing of its work is left.

    Args:
        net: the open network.
        lesson: what to learn.
        room: of the task, which the caller has claimed.
        reporter: who is told.
        stop: who may ask to stop.
        advance: called with the steps just done, those of an earlier run included.

    Raises:
        KeyboardInterrupt: it was stopped; says in one line how far it got and what is kept.
        UsageError: the data cannot be learned.
        BankError: the bank cannot be written.
    """
    data, recipe = lesson.data, lesson.recipe
    plan = plan_digest(lesson.task, data.digest, recipe, lesson.seed, net.device.type)
    checkpoints = Checkpoints(room, plan, reporter)
    outputs = torch.tensor(data.outputs, device=net.device)
    train = labelled(net, data.train, outputs)
    try:
        learning = _begun(net, lesson, train, checkpoints, reporter)
        if isinstance(learning, Learning):
            advance(learning.steps_done)
            _take_steps(lesson, learning, checkpoints, stop, advance)
            advance(recipe.steps - learning.steps_done)
            masks = learning.masks()
    except ValueError as error:
        discard_room(room)
        raise UsageError(f"task {lesson.task!r}: {error}") from error
    if isinstance(learning, Combination):
        values = learning.masks | learning.statistics
        typical = _typical(net, lesson, train, values, recipe.steps)
        facts = measured_facts(
            net, lesson, values, outputs, learning.parents, learning.steps, typical
        )
        coefficients = learning.coefficients
        made = provenance(net, data.source, checkpoints.seconds())
        with stop.steps():
            kept = _kept(learning.statistics, typical)
            task = net.bank.add_combination(facts, coefficients, kept, made)
            discard_room(room)
        advance(recipe.steps)
        return task
    try:
        statistics = learning.statistics()
        values = mask_values(masks, sparse=recipe.density is not None) | statistics
        typical = _typical(net, lesson, train, values, learning.steps_done)
        facts = measured_facts(
            net, lesson, values, outputs, checkpoints.parents, recipe.steps, typical
        )
        facts = dataclasses.replace(facts, recipe=recipe_record(recipe, learning.kept_step))
    except KeyboardInterrupt:
        raise _stopped(lesson, learning, checkpoints) from None
    arrays, kept = mask_arrays(masks), _kept(statistics, typical)
    made = provenance(net, data.source, checkpoints.seconds())
    with stop.steps():  # it takes a moment, and is told as done once it is done
        task = net.bank.add_task(facts, arrays, kept, made)
        discard_room(room)
    return task


def _begun(
    net: OpenNetwork,
    lesson: Lesson,
    train: LabelledImages,
    checkpoints: Checkpoints,
    reporter: Reporter,
) -> Learning | Combination:
    """Go on where an earlier run stopped, or begin; a combination that is good enough is the end.

    What an earlier run found in the bank is not asked for again: its state holds what came of it.
    """
    recipe = lesson.recipe
    left = checkpoints.resume(lambda: _opened(net, lesson, train))
    if left is not None:
        return left
    earlier = None
    if recipe.transfer or recipe.combine is not None:
        earlier = earlier_masks(net, train, recipe, reporter)
        if earlier is None:
            reporter.note(f"task {lesson.task}: no earlier mask to start from or to combine")
    if earlier is not None and recipe.combine is not None:
        made = combine(net, earlier, train, lesson)
        names = ", ".join(parent.task for parent in made.parents)
        reporter.note(
            f"task {lesson.task}: combining {names} classifies {made.accuracy:.2%} of the "
            f"calibration images, {recipe.combine:.2%} asked for"
        )
        if made.accuracy >= recipe.combine:
            return made
    if earlier is None or not recipe.transfer:
        return _opened(net, lesson, train)
    checkpoints.parents = earlier.parents
    return _opened(net, lesson, train, earlier.scores(recipe, lesson.seed, lesson.task))


def discard_room(room: WorkRoom) -> None:
    """Remove what is left of the work, if that is possible; it does no harm."""
    with suppress(StorageError):
        room.discard()


def _opened(
    net: OpenNetwork, lesson: Lesson, train: LabelledImages, start: Masks | None = None
) -> Learning:
    outputs = torch.tensor(lesson.data.outputs, device=net.device)
    if start is None and net.bank.record.init == "weights":
        start = kept_scores(net.layout.shapes, seed=lesson.seed, task=lesson.task)
    return Learning(
        net.network,
        tuple(net.layout.shapes),
        train,
        net.pixels,
        lesson.recipe,
        seed=lesson.seed,
        task=lesson.task,
        start=start,
        held_out=labelled(net, lesson.data.calibration, outputs),
        precision=precision_of(kind_of(net.network), net.device),
    )


def precision_of(kind: Kind, device: torch.device) -> torch.dtype:
    """Choose the precision of products while learning: 16 bits for convolutions on a GPU."""
    mixed = kind == "convolution" and device.type == "cuda"
    return torch.bfloat16 if mixed else torch.float32


def _take_steps(
    lesson: Lesson, learning: Learning, checkpoints: Checkpoints, stop: Stop, advance: Advance
) -> None:
    with stop.steps():
        while not learning.done and not stop.asked:
            learning.advance()
            advance(1)
            checkpoints.after_step(learning)
        if stop.asked:
            raise _stopped(lesson, learning, checkpoints)


def _stopped(lesson: Lesson, learning: Learning, checkpoints: Checkpoints) -> KeyboardInterrupt:
    saved = "saved" if checkpoints.save(learning) else "which could not be saved"
    place = f"step {learning.steps_done} of {lesson.recipe.steps}"
    return KeyboardInterrupt(f"task {lesson.task!r} at {place}, {saved}")


def mask_arrays(tensors: Masks) -> dict[str, np.ndarray]:
    """Give masks as the bank takes them: parameter name → bool array of its shape."""
    return {name: np.asarray(tensor.cpu()) for name, tensor in tensors.items()}


def _kept(statistics: Statistics, typical: TypicalTraits | None) -> dict[str, np.ndarray]:
    kept = {NORMALISATION: np.asarray(joined(statistics))} if statistics else {}
    return kept if typical is None else kept | {TRAITS: np.asarray(typical.joined())}


def _typical(
    net: OpenNetwork, lesson: Lesson, train: LabelledImages, values: Masks, steps: int
) -> TypicalTraits | None:
    """Measure traits on as many training images as were learned from, at most 512.

    The calibration share is left to judge by: there they are as new as an image to come.
    """
    size = lesson.recipe.batch_size
    stream = generator(lesson.seed, "traits", lesson.task)
    most = min(_TRAIT_IMAGES, steps * size)
    batches = sample_batches(train, net.pixels, min(size, _TRAIT_IMAGES), stream, most)
    return measure_traits(net.network, values, batches)


def measured_facts(
    net: OpenNetwork,
    lesson: Lesson,
    values: Masks,
    outputs: Tensor,
    parents: tuple[ParentRecord, ...],
    steps: int,
    typical: TypicalTraits | None = None,
) -> TaskFacts:
    """Measure a task's masks and statistics, name → float32, and say what is known of the task."""
    data, recipe = lesson.data, lesson.recipe
    return TaskFacts(
        task=lesson.task,
        classes=tuple(map(ClassRecord, data.classes, data.outputs)),
        data=DataRecord(data.name, data.digest),
        recipe=recipe_record(recipe),
        seed=lesson.seed,
        steps=steps,
        accuracy=accuracy(net, values, data.test, outputs),
        calibration=calibration(net, values, data.calibration, outputs, typical),
        parents=parents,
    )
