"""Learn one task's masks over the frozen network."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.augmentation import augment
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.batches.negatives import make_warp
from supsup_cli.core.masks.density import mask_values
from supsup_cli.core.masks.masks import Masks, initial_scores
from supsup_cli.core.masks.superposition import images_at_once, masked_forward
from supsup_cli.core.networks.normalisation import Statistics
from supsup_cli.core.seeds import generator, restore_stream

from .bn_recalibration import recalibrated_statistics, sample_batches
from .early_stopping import EarlyStopping
from .mask_learner import MaskLearner
from .recipes import Recipe

_EVALUATION_IMAGES = 2048
# For one check: held-out images, spread over all, and training images for its statistics.
_CHECK_IMAGES, _CHECK_STATISTICS = 1024, 512
_WARPS = "warps/generator"


class Learning:
    """Learns one task's masks by cross-entropy over all outputs; the weights do not change.

    Wortsman et al. 2020, sections 3.1 and 3.2. It works step by step, so that the caller can stop
    between two steps and continue later from the state, with the same masks at the end. A recipe
    with negatives adds one to every image, with an even answer of the superfluous outputs as
    target.

    Args:
        network: frozen network, in evaluation mode.
        masked: names of the parameters that get a mask.
        data: training images on the network's device.
        pixels: turns bytes into inputs.
        recipe: optimiser, schedule, steps, batch size.
        seed: of the scores and of the order of the images, together with `task`.
        task: name, which keeps the random streams of tasks apart.
        start: first scores, parameter name → float32 of its shape; None draws them.
        held_out: images of the task that it does not learn from, for recipes that stop early.
        precision: of products and convolutions while learning, see `forward_on_batch`.

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
        held_out: LabelledImages | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        if len(data) == 0:
            raise ValueError("no training images")
        self._data = data
        self._pixels = pixels
        self._network = network
        self._recipe = recipe
        self._seed = seed
        self._task = task
        self._convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
        height, width = data.shape[-2:]
        self._warp = make_warp(height, width, data.device)
        self._fields = generator(seed, "warps", task)
        self._outputs = data.targets.unique()
        shapes = {name: tuple(network.get_parameter(name).shape) for name in masked}
        first = initial_scores(shapes, seed=seed, task=task) if start is None else start
        scores = {name: score.to(data.device, copy=True) for name, score in first.items()}
        self._learner = MaskLearner(network, scores, recipe, precision)
        self._held_out = held_out
        stops = recipe.patience and held_out is not None and len(held_out)
        self._stopping = EarlyStopping(recipe.steps, recipe.patience) if stops else None
        stream = generator(seed, "batches", task)
        self._order = BatchOrder(len(data), recipe.batch_size, stream)

    @property
    def steps_done(self) -> int:
        """Number of updates so far."""
        return self._learner.steps_done

    @property
    def done(self) -> bool:
        """Whether all steps of the recipe have been taken, or early stopping ends them."""
        over = self._stopping is not None and self._stopping.over
        return over or self.steps_done >= self._recipe.steps

    @property
    def kept_step(self) -> int | None:
        """The step of the kept masks; None for a recipe that does not stop early."""
        return None if self._stopping is None else self._stopping.step

    def advance(self) -> None:
        """Take the next step.

        Raises:
            ValueError: the recipe has negatives, but there are no superfluous outputs.
        """
        here = self._order.next_batch().to(self._data.device)
        images = self._data.take(here)
        if self._recipe.augment:
            # a stream for each step, so that there is no state to save
            stream = generator(self._seed, "augmentation", self._task, str(self.steps_done))
            images = augment(images, self._recipe.augment, stream)
        inputs = self._with_negatives(self._pixels(images), self._fields)
        if self._convolves:  # channels last: gem-resnet18 is faster by a quarter on a CPU
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        self._learner.step(inputs, self._data.targets[here], self._outputs)
        if self._stopping is not None and self._stopping.due(self.steps_done):
            masks = self._learner.masks()
            self._stopping.note(self.steps_done, self._held_out_loss(masks), masks)

    def masks(self) -> Masks:
        """Return the masks as they are, or the best of all checks: parameter name → bool.

        Raises:
            ValueError: the scores are no longer finite.
        """
        best = None if self._stopping is None else self._stopping.masks()
        return self._learner.masks() if best is None else best

    def statistics(self) -> Statistics:
        """Measure the statistics of `masks` on the training images, at most 2048 of them.

        Returns:
            buffer name → float32; see `recalibrated_statistics`.
        """
        return recalibrated_statistics(self._network, self._values(self.masks()), self._sample())

    def lower(self) -> None:
        """Return the values below the masks: none, because all layers are masked."""

    def head(self) -> None:
        """Return the task's own last layer: none, because all tasks share the network's."""

    def _values(self, masks: Masks) -> Masks:
        return mask_values(masks, sparse=self._recipe.density is not None)

    def _held_out_loss(self, masks: Masks) -> float:
        """Measure the cross-entropy of masks over all outputs, in nats, on held-out images."""
        if self._held_out is None:
            raise ValueError("no held-out images")
        values = self._values(masks)
        values |= recalibrated_statistics(self._network, values, self._sample(_CHECK_STATISTICS))
        every = max(1, len(self._held_out) // _CHECK_IMAGES)
        places = torch.arange(0, len(self._held_out), every, device=self._held_out.device)
        parts = self._held_out.take(places).split(self._recipe.batch_size)
        logits = [masked_forward(self._network, values, self._pixels(part)) for part in parts]
        return float(F.cross_entropy(torch.cat(logits), self._held_out.targets[::every]))

    def _sample(self, images: int | None = None) -> Iterator[Tensor]:
        """Draw batches like those that are learned from, the same ones for the same number."""
        stream = generator(self._seed, "statistics", self._task)
        size = self._recipe.batch_size
        most = self.steps_done * size if images is None else images
        for inputs in sample_batches(self._data, self._pixels, size, stream, most):
            yield self._with_negatives(inputs, stream)

    def _with_negatives(self, inputs: Tensor, fields: torch.Generator) -> Tensor:
        far = self._recipe.negatives
        return torch.cat((inputs, self._warp(inputs, far, fields))) if far else inputs

    def state(self) -> dict[str, Tensor]:
        """Copy everything that the next step depends on, besides `steps_done`.

        Returns:
            The tensors of `MaskLearner.state`, `BatchOrder.state` and, if the recipe stops early,
            `EarlyStopping.state`; for negatives "warps/generator", uint8, their stream.
        """
        fields = {_WARPS: self._fields.get_state()} if self._recipe.negatives else {}
        checks = {} if self._stopping is None else self._stopping.state()
        return self._learner.state() | self._order.state() | fields | checks

    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue where another learning of the same task, data and recipe stopped.

        Args:
            state: what `state` returned.
            steps_done: of that learning.

        Raises:
            ValueError: the state has another form; this learning must not be used any more.
        """
        if steps_done > self._recipe.steps:
            raise ValueError(
                f"{steps_done} steps done found, expected at most {self._recipe.steps}"
            )
        order = {name: state[name] for name in self._order.state() if name in state}
        self._order.restore(order)
        taken = {*order, _WARPS} if self._recipe.negatives else {*order}
        if self._stopping is not None:
            taken |= self._stopping.restore(state, self._learner.masks())
        if self._recipe.negatives:
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
        pixels: turns bytes into inputs.
        outputs: (K,) int64, the output of each class.

    Returns:
        (N, K) float32 natural logarithms of probabilities.
    """
    parts = [
        masked_forward(network, masks, pixels(part))[:, outputs].log_softmax(-1)
        for part in images.split(images_at_once(images, _EVALUATION_IMAGES))
    ]
    return torch.cat(parts)
