"""The one loop that every rival learns by, and answers with the task given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from supsup_cli.baselines.method import Method, TaskImages, Tensors
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.bn_recalibration import measured_statistics, sample_batches
from supsup_cli.core.learning.optimisers import MOMENTS, UpdateRule
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.masks.superposition import images_at_once
from supsup_cli.core.networks.normalisation import Statistics, blank_statistics, forward_on_batch
from supsup_cli.core.seeds import generator

_EVALUATION_IMAGES = 1024
_OWN, _SHARED = "own/", "shared/"


@dataclass(frozen=True)
class LearnedTask:
    """What is kept of a task.

    Attributes:
        name: of the task.
        outputs: (K,) int64, the output of each class in a shared head.
        own: the method's numbers for this task only.
        statistics: those of the task's images, for a network that normalises.
    """

    name: str
    outputs: Tensor
    own: Tensors
    statistics: Statistics


@dataclass
class Learner:
    """Tasks learned one by one by one method.

    Attributes:
        method: says which numbers there are.
        pixels: turns bytes into inputs.
        seed: of the order of the images, together with a task's name.
        shared: the numbers of all tasks, as they are after the last task.
        tasks: in the order they were learned.
    """

    method: Method
    pixels: Pixels
    seed: int
    shared: Tensors = field(default_factory=dict)
    tasks: list[LearnedTask] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = self.shared or self.method.shared()
        self._convolves = any(isinstance(one, nn.Conv2d) for one in self.method.network.modules())

    def copy(self) -> "Learner":
        """Copy what was learned, so that one start can continue in several ways."""
        shared = {name: one.clone() for name, one in self.shared.items()}
        return Learner(self.method, self.pixels, self.seed, shared, list(self.tasks))

    @property
    def bytes(self) -> int:
        """Number of bytes that must be kept for all tasks, without what a seed can draw again."""
        kept = list(self.shared.values()) if self.method.keeps_shared else []
        for task in self.tasks:
            kept += [*task.own.values(), *task.statistics.values()]
        return sum(one.numel() * one.element_size() for one in kept)

    def learn(
        self,
        task: TaskImages,
        recipe: Recipe,
        advance: Callable[[int], None] = lambda _steps: None,
    ) -> None:
        """Learn a task by cross-entropy over the network's outputs, and add it when it is done.

        Args:
            task: its images.
            recipe: optimiser, rate, steps and batch size.
            advance: called with the steps just done.

        Raises:
            ValueError: there are no images.
        """
        if len(task.train) == 0:
            raise ValueError(f"task {task.name!r}: no training images")
        method, device = self.method, task.train.device
        # Steps change tensors in place, and a method may hand out those of the trained base.
        own = {name: one.clone() for name, one in method.own(task.name, len(task.outputs)).items()}
        shared = {name: one.clone() for name, one in self.shared.items()}
        learning = {_OWN + name: one for name, one in own.items()}
        if method.learns_shared(not self.tasks):
            learning |= {_SHARED + name: one for name, one in shared.items()}
        leaves = [one.requires_grad_() for one in learning.values()]
        rule = UpdateRule(recipe, learning)
        running = blank_statistics(method.network, device)
        targets = task.train.targets if method.own_head else task.outputs[task.train.targets]
        for step, here in enumerate(self._batches(task, recipe)):
            weights = method.weights(shared, own, task.name)
            inputs = self._inputs(task.train, here)
            logits = forward_on_batch(method.network, weights, running, inputs)
            loss = F.cross_entropy(logits, targets[here])
            gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
            rule.begin(step)
            with torch.no_grad():
                for (name, leaf), gradient in zip(learning.items(), gradients, strict=True):
                    moments = [rule.moments[key][name] for key in MOMENTS[recipe.optimiser]]
                    rule.update(name, leaf, moments, gradient)
            advance(1)
        for leaf in leaves:
            leaf.requires_grad_(False)
        statistics = self._statistics(task, recipe, shared, own)
        self.shared = shared
        self.tasks.append(LearnedTask(task.name, task.outputs, own, statistics))

    def logits(self, place: int, images: Tensor) -> Tensor:
        """Classify images with the task given (GG), among its own classes.

        Args:
            place: of the task.
            images: (N, C, H, W) uint8, on the device.

        Returns:
            (N, K) float32.
        """
        task = self.tasks[place]
        values = self.method.weights(self.shared, task.own, task.name) | task.statistics
        parts = []
        with torch.no_grad():
            for part in images.split(images_at_once(images, _EVALUATION_IMAGES)):
                inputs = self.pixels(part)
                logits: Tensor = functional_call(self.method.network, values, (inputs,))
                parts.append(logits if self.method.own_head else logits[:, task.outputs])
        return torch.cat(parts)

    def _batches(self, task: TaskImages, recipe: Recipe) -> Iterator[Tensor]:
        stream = generator(self.seed, "batches", task.name)
        order = BatchOrder(len(task.train), recipe.batch_size, stream)
        for _ in range(recipe.steps):
            yield order.next_batch().to(task.train.device)

    def _inputs(self, images: LabelledImages, here: Tensor) -> Tensor:
        inputs = self.pixels(images.take(here))
        if self._convolves:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _statistics(
        self, task: TaskImages, recipe: Recipe, shared: Tensors, own: Tensors
    ) -> Statistics:
        """Measure the task's statistics under its final weights, as supsup does."""
        weights = self.method.weights(shared, own, task.name)
        stream = generator(self.seed, "statistics", task.name)
        size = min(recipe.batch_size, len(task.train))
        batches = sample_batches(task.train, self.pixels, size, stream, recipe.steps * size)
        return measured_statistics(self.method.network, weights, batches, task.train.device)
