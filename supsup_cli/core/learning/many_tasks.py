"""Learn many tasks' masks in one program, with a copy of the perceptron for each task.

A device with thousands of cores is mostly idle during a small network's step. The scores of K tasks
are stacked, (K · out, in) for each layer, so that one update rule serves all tasks, and products
are batched over tasks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.core.images import ImagesOfTasks, LabelledImages, Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.masks.masks import Masks, initial_scores, threshold
from supsup_cli.core.networks.specs import MultilayerPerceptron
from supsup_cli.core.seeds import generator

from .mask_learner import MaskLearner, check_finite
from .recipes import Recipe


class ManyLearnings:
    """Learns K tasks' masks at once, with the steps that `Learning` takes for each.

    Each task has its own scores, order of images and loss; all draws are those of `Learning`. The
    results differ from it only by the rounding of batched float32 products.

    Args:
        network: frozen perceptron, in evaluation mode.
        data: training images of each of the K tasks, on the network's device.
        pixels: turns bytes into inputs.
        recipe: one for which `learns_together` is true.
        seed: of the scores and of the orders of the images, together with `tasks`.
        tasks: K names, which keep the random streams of tasks apart.

    Raises:
        ValueError: there is no task or no image, or the network or recipe is of another kind.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Sequence[LabelledImages],
        pixels: Pixels,
        recipe: Recipe,
        *,
        seed: int,
        tasks: Sequence[str],
    ) -> None:
        if not data or min(map(len, data)) == 0:
            raise ValueError("no training images")
        if not isinstance(network, MultilayerPerceptron) or not learns_together(recipe):
            raise ValueError(f"network or recipe {recipe.name!r} learns one task at a time")
        self._recipe = recipe
        self._pixels = pixels
        self._images = ImagesOfTasks(data)
        self._orders = [
            BatchOrder(len(one), recipe.batch_size, generator(seed, "batches", task))
            for one, task in zip(data, tasks, strict=True)
        ]
        shapes = {name: tuple(one.shape) for name, one in network.named_parameters()}
        drawn = [initial_scores(shapes, seed=seed, task=task) for task in tasks]
        self._device = data[0].device
        self._scores = {
            name: torch.cat([one[name] for one in drawn]).to(self._device) for name in shapes
        }
        repeated = _Repeated(network, len(tasks))
        self._learner = MaskLearner(repeated, self._scores, recipe, tasks=len(tasks))

    @property
    def steps_done(self) -> int:
        """Number of updates so far, of each task."""
        return self._learner.steps_done

    @property
    def done(self) -> bool:
        """Whether all steps of the recipe have been taken."""
        return self.steps_done >= self._recipe.steps

    def advance(self) -> None:
        """Take the next step of every task."""
        batches = torch.stack([order.next_batch() for order in self._orders]).to(self._device)
        images, targets = self._images.take(batches)
        self._learner.step(self._pixels(images), targets, targets[:0])

    def masks(self, index: int) -> Masks:
        """Return the masks of one task as they are: parameter name → bool of its shape.

        Raises:
            ValueError: its scores are no longer finite.
        """
        own = {name: score.chunk(len(self._orders))[index] for name, score in self._scores.items()}
        check_finite(own)
        return threshold(own)


def learns_together(recipe: Recipe) -> bool:
    """Return whether a recipe takes plain steps: the same kind and number for every task."""
    others = (recipe.negatives, recipe.augment, recipe.patience, recipe.transfer)
    return not any(others) and recipe.combine is None and recipe.density is None


class _Repeated(nn.Module):
    """K perceptrons in one: layer i's weights are (K · out, in), task after task."""

    def __init__(self, network: nn.Module, tasks: int) -> None:
        super().__init__()
        self._tasks = tasks
        self.layers = nn.ModuleList()
        for weight in network.parameters():
            out, fan_in = weight.shape
            layer = nn.Linear(fan_in, tasks * out, bias=False, device="meta")
            layer.weight = nn.Parameter(weight.repeat(tasks, 1), requires_grad=False)
            self.layers.append(layer)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Map images (K · B, C, H, W) float32, B of each task, to logits (K · B, O) float32."""
        values = images.flatten(1).unflatten(0, (self._tasks, -1))
        *hidden, last = (weight.unflatten(0, (self._tasks, -1)).mT for weight in self.parameters())
        for weight in hidden:
            values = F.relu(torch.bmm(values, weight))
        return torch.bmm(values, last).flatten(0, 1)
