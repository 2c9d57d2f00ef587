"""Learning one task's masks over the frozen network."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .batch_order import BatchOrder
from .mask_learner import MaskLearner
from .masks import Masks, initial_scores
from .negatives import make_warp
from .recipes import Recipe
from .seeds import generator, restore_stream
from .statistics import Statistics
from .superposition import masked_forward

_EVALUATION_IMAGES = 2048
_WARPS = "warps/generator"


@dataclass(frozen=True)
class Pixels:
    """Turn stored bytes into the network's input: (x / 255 − mean) / std per channel.

    Attributes:
        mean: (C, 1, 1) float32, of pixels scaled to 0…1.
        std: (C, 1, 1) float32.
    """

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise (…, C, H, W) uint8 to float32 of the same shape."""
        scaled = images.to(torch.float32)
        return scaled.mul_(1 / (255 * self.std)).sub_(self.mean / self.std)


@dataclass(frozen=True)
class LabelledImages:
    """Images of one split, whole on the device; batches are gathered there.

    Attributes:
        images: (N, C, H, W) uint8.
        targets: (N,) int64, the output that stands for each image's class.
    """

    images: Tensor
    targets: Tensor


class Learning:
    """Learning one task's masks by cross-entropy over all outputs; the weights stay as they are.

    Wortsman et al. 2020, sections 3.1 and 3.2. It goes step by step, so that whoever drives it can
    leave between any two of them, and go on from the state later with the same masks at the end. A
    recipe with negatives shows one beside every image, and asks for an even answer of the
    superfluous outputs.

    Args:
        network: frozen network, in evaluation mode.
        masked: names of the parameters that get a mask.
        data: training images on the network's device.
        pixels: how bytes become inputs.
        recipe: optimiser, schedule, steps, batch size.
        seed: of the scores and of the order of the images, together with `task`.
        task: name that sets the random streams of tasks apart.
        start: scores to begin with, parameter name → float32 of its shape; None draws them.

    Raises:
        ValueError: there are no images.
    """

    def __init__(
        self,
        network: nn.Module,
        masked: tuple[str, ...],
        data: LabelledImages,
        pixels: Pixels,
        recipe: Recipe,
        *,
        seed: int,
        task: str,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        if len(data.images) == 0:
            raise ValueError("no training images")
        self._data = data
        self._pixels = pixels
        self._steps = recipe.steps
        self._negatives = recipe.negatives
        height, width = data.images.shape[-2:]
        self._warp = make_warp(height, width, data.images.device)
        self._fields = generator(seed, "warps", task)
        self._outputs = data.targets.unique()
        shapes = {name: tuple(network.get_parameter(name).shape) for name in masked}
        first = initial_scores(shapes, seed=seed, task=task) if start is None else start
        device = data.images.device
        scores = {name: score.to(device, copy=True) for name, score in first.items()}
        self._learner = MaskLearner(network, scores, recipe)
        stream = generator(seed, "batches", task)
        self._order = BatchOrder(len(data.images), recipe.batch_size, stream)

    @property
    def steps_done(self) -> int:
        """Number of updates so far."""
        return self._learner.steps_done

    @property
    def done(self) -> bool:
        """Whether all steps of the recipe have been taken."""
        return self.steps_done >= self._steps

    def advance(self) -> None:
        """Take the next step.

        Raises:
            ValueError: the recipe has negatives, and there are no superfluous outputs.
        """
        here = self._order.next_batch().to(self._data.images.device)
        inputs = self._pixels(self._data.images[here])
        if self._negatives:
            inputs = torch.cat((inputs, self._warp(inputs, self._negatives, self._fields)))
        self._learner.step(inputs, self._data.targets[here], self._outputs)

    def masks(self) -> Masks:
        """Give the masks as they are: parameter name → bool of its shape.

        Raises:
            ValueError: the scores are no longer finite.
        """
        return self._learner.masks()

    def statistics(self) -> Statistics:
        """Give the task's statistics as they are: buffer name → float32."""
        return self._learner.statistics()

    def state(self) -> dict[str, Tensor]:
        """Copy all that the next step depends on, besides `steps_done`.

        Returns:
            The tensors of `MaskLearner.state` and of `BatchOrder.state`, on the CPU; where there
            are negatives "warps/generator", uint8, the stream of their fields.
        """
        fields = {_WARPS: self._fields.get_state()} if self._negatives else {}
        return self._learner.state() | self._order.state() | fields

    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Go on where another learning of the same task, data and recipe was.

        Args:
            state: what `state` gave.
            steps_done: of that learning.

        Raises:
            ValueError: no such state; this learning must not be used any more.
        """
        if steps_done > self._steps:
            raise ValueError(f"{steps_done} steps done found, expected at most {self._steps}")
        order = {name: state[name] for name in self._order.state() if name in state}
        self._order.restore(order)
        taken = {*order, _WARPS} if self._negatives else order
        if self._negatives:
            restore_stream(self._fields, state.get(_WARPS))
        scores = {name: tensor for name, tensor in state.items() if name not in taken}
        self._learner.restore(scores, steps_done)


def class_log_probabilities(
    network: nn.Module, masks: Masks, images: Tensor, pixels: Pixels, outputs: Tensor
) -> Tensor:
    """Classify images under one task's masks, among that task's own classes.

    Args:
        network: frozen network.
        masks: parameter name → float32 zeros and ones; buffer name → the task's statistics.
        images: (N, C, H, W) uint8 on the network's device.
        pixels: how bytes become inputs.
        outputs: (K,) int64, the output of each class.

    Returns:
        (N, K) float32 natural logarithms of probabilities.
    """
    parts = [
        masked_forward(network, masks, pixels(part))[:, outputs].log_softmax(-1)
        for part in images.split(_EVALUATION_IMAGES)
    ]
    return torch.cat(parts)
