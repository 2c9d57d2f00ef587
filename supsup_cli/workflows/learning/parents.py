"""What a new task takes from earlier ones: scores to start from, or its whole mask."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bank_format.errors import BankError, StorageError
from bank_format.kinds.combination import combined_masks
from bank_format.kinds.mask import Task
from bank_format.kinds.task_records import ParentRecord
from supsup_cli.core.images import LabelledImages
from supsup_cli.core.learning.bn_recalibration import recalibrated_statistics, sample_batches
from supsup_cli.core.learning.earlier_tasks.combination import learn_coefficients
from supsup_cli.core.learning.earlier_tasks.transfer import (
    choose_parents,
    losses_by_task,
    transferred_scores,
)
from supsup_cli.core.learning.one_task import class_log_probabilities
from supsup_cli.core.learning.recipes import Recipe, combination_steps
from supsup_cli.core.masks.density import mask_values
from supsup_cli.core.masks.masks import Masks, MaskStack
from supsup_cli.core.networks.normalisation import Statistics
from supsup_cli.core.seeds import generator
from supsup_cli.workflows.learning.plan import LearningJob
from supsup_cli.workflows.opening import OpenNetwork, stack_of
from supsup_cli.workflows.reporting import Reporter

# In a bank with more tasks only the latest are tried, because trying one takes milliseconds.
_MOST_TRIED = 64


@dataclass(frozen=True)
class EarlierMasks:
    """Earlier tasks that fit a new one best, best first.

    Attributes:
        tasks: their files' content.
        stack: their K packed masks.
        losses: (K,) float32, nats, how badly each fits the new task.
    """

    tasks: tuple[Task, ...]
    stack: MaskStack
    losses: Tensor

    @property
    def parents(self) -> tuple[ParentRecord, ...]:
        """Their records in a task file."""
        return tuple(ParentRecord(one.content.task, one.content_sha256) for one in self.tasks)

    def scores(self, recipe: Recipe, seed: int, task: str) -> Masks:
        """Start the new task's scores from these masks."""
        return transferred_scores(
            self.stack, self.losses, sparse=recipe.density is not None, seed=seed, task=task
        )


@dataclass(frozen=True)
class Combination:
    """A mask made from earlier ones.

    Attributes:
        coefficients: parameter name → (K + 1,) float32; see FORMAT.md.
        parents: the K tasks.
        masks: parameter name → float32 of its shape, on the network's device.
        statistics: buffer name → float32, the task's own.
        accuracy: share of the calibration images classified rightly.
        steps: taken to learn the coefficients.
    """

    coefficients: dict[str, np.ndarray]
    parents: tuple[ParentRecord, ...]
    masks: Masks
    statistics: Statistics
    accuracy: float
    steps: int


def earlier_masks(
    net: OpenNetwork, train: LabelledImages, recipe: Recipe, reporter: Reporter
) -> EarlierMasks | None:
    """Find the tasks of a bank that fit new training images best; None if there are none.

    Only the latest 64 masks are compared: combinations hold nothing of their own, and sparse and
    dense masks say little about each other. An unreadable task is reported and left out.

    Raises:
        StorageError: the system refused.
    """
    sparse = recipe.density is not None
    tried = []
    for name in net.bank.tasks():
        try:
            task = net.bank.read_task(name)
        except StorageError:
            raise
        except BankError as error:
            reporter.note(f"{error.message}; it is left out of what is learned")
            continue
        if task.content.kind == "mask" and task.sparse == sparse:
            tried.append(task)
    tried.sort(key=lambda task: task.provenance.created)
    tried = tried[-_MOST_TRIED:]
    if not tried:
        return None
    packed = np.stack([np.concatenate(list(task.masks.values())) for task in tried])
    stack = stack_of(net, tried, packed)
    losses = losses_by_task(net.network, stack, train, net.pixels)
    chosen = choose_parents(losses)
    return EarlierMasks(
        tuple(tried[place] for place in chosen), stack.subset(chosen), losses[chosen]
    )


def combine(
    net: OpenNetwork, earlier: EarlierMasks, train: LabelledImages, job: LearningJob
) -> Combination:
    """Make the best mask that earlier ones allow, and measure it on calibration images.

    Args:
        net: the open network.
        earlier: what to combine.
        train: training images.
        job: what to learn; without calibration images the accuracy is 0. See
            `learn_coefficients` for its recipe; the steps are those of `combination_steps`.
    """
    recipe, calibration = job.recipe, job.data.calibration
    outputs = torch.tensor(job.data.outputs, device=net.device)
    steps = combination_steps(recipe)
    learned = learn_coefficients(
        net.network,
        earlier.stack,
        train,
        net.pixels,
        dataclasses.replace(recipe, steps=steps),
        seed=job.seed,
        task=job.task,
        on_step=lambda _step: None,
    )
    used = sorted(
        {
            place
            for one in learned.values.values()
            for place in one[:-1].nonzero().flatten().tolist()
        }
    )
    coefficients = {
        name: np.asarray(torch.cat((one[used], one[-1:]))) for name, one in learned.values.items()
    }
    parents = [earlier.tasks[place] for place in used]
    packed = combined_masks(net.bank.record, coefficients, [one.masks for one in parents])
    row = torch.from_numpy(np.concatenate(list(packed.values())))[None].to(net.device)
    kept = MaskStack(row, net.layout).masks(0)
    masks = mask_values(
        {name: one > 0 for name, one in kept.items()}, sparse=recipe.density is not None
    )
    draw = generator(job.seed, "statistics", job.task)
    sample = sample_batches(train, net.pixels, recipe.batch_size, draw)
    statistics = recalibrated_statistics(net.network, masks, sample)
    values = masks | statistics
    images = torch.from_numpy(calibration.images).to(net.device)
    guesses = class_log_probabilities(net.network, values, images, net.pixels, outputs).argmax(-1)
    right = int((guesses.cpu().numpy() == calibration.labels).sum()) / max(1, len(calibration))
    named = tuple(earlier.parents[place] for place in used)
    return Combination(coefficients, named, masks, statistics, right, steps)
