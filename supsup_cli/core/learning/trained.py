"""Learn a task over trained weights: which few of them to drop, and a last layer of its own."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.batches.lower_values import LowerValues
from supsup_cli.core.learning.mask_learner import check_finite
from supsup_cli.core.learning.optimisers import rate_and_momentum
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.networks.head import Head, find_head
from supsup_cli.core.networks.normalisation import Statistics
from supsup_cli.core.networks.parts import Between, in_parts
from supsup_cli.core.seeds import generator

# Decay of the scores' velocity, and of the head's moments (Kingma & Ba 2015).
_MOMENTUM = 0.9
_BETAS, _EPSILON = (0.9, 0.999), 1e-8
# Share of the steps over which the number of dropped weights grows to its final value.
_GROWING = 0.5
_SCORES = ("scores", "velocity")
_HEAD = ("weight", "bias", "weight_mean", "bias_mean", "weight_square", "bias_square")


class TrainedLearning:
    """Learns which weights of a trained network to drop, together with the task's own head.

    Scores start at zero and follow the straight-through gradient ∂L/∂(W ⊙ M) ⊙ W with momentum
    (Mallya et al. 2018, "Piggyback"). The weights with the lowest scores are dropped, a given
    number over all layers together. So a mask's size is known beforehand, and the dropped weights
    are those that hurt most. Under Adam, with steps of one size for all weights, dropping as many
    helps far less; see `tests/benchmarks/README.md`.

    Args:
        network: frozen network with a `Head`, in evaluation mode.
        masked: names of the parameters that get a mask, in the network's order.
        data: training images on the network's device.
        pixels: turns bytes into inputs.
        recipe: rates, steps, batch size, augmentation, share of weights to drop.
        seed: of the order of the images and their augmentation, together with `task`.
        task: name, which keeps the random streams of tasks apart.
        rows: (K,) int64, the output of each class, in the order of the head's rows.
        precision: of products and convolutions; bfloat16 computes only those in 16 bits.

    Raises:
        ValueError: there are no images.
    """

    kept_step: int | None = None  # it does not stop early

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
        rows: Tensor,
        precision: torch.dtype = torch.float32,
    ) -> None:
        found = find_head(network)
        if len(data) == 0 or found is None:
            raise ValueError("no training images" if len(data) == 0 else "no head found")
        self._head_name, head = found
        self._recipe, self._precision, device = recipe, precision, data.device
        self.steps_done = 0
        example = pixels(data.take(torch.zeros(2, dtype=torch.int64, device=device)))
        self._parts = in_parts(network, masked, example)
        self._lower = LowerValues(self._parts, data, pixels, recipe, seed=seed, task=task)
        self._weights: Masks = {name: network.get_parameter(name).detach() for name in masked}
        self._effective = {
            name: weight.clone().requires_grad_() for name, weight in self._weights.items()
        }
        count = sum(weight.numel() for weight in self._weights.values())
        self._drops = round(recipe.drop * count)
        self._scores = torch.zeros(count, device=device)
        self._velocity = torch.zeros(count, device=device)
        self._head = _blank_head(len(rows), head, device)
        places = torch.full((int(rows.max()) + 1,), -1, dtype=torch.int64, device=device)
        places[rows] = torch.arange(len(rows), device=device)
        self._targets = places[data.targets]
        self._order = BatchOrder(len(data), recipe.batch_size, generator(seed, "batches", task))

    @property
    def done(self) -> bool:
        """Whether all steps of the recipe have been taken."""
        return self.steps_done >= self._recipe.steps

    def advance(self) -> None:
        """Take the next step."""
        here = self._order.next_batch().to(self._scores.device)
        between = self._lower.batch(here, self.steps_done)
        leaves = [*self._effective.values(), self._head["weight"], self._head["bias"]]
        for leaf in leaves:
            leaf.requires_grad_()
        values = {
            **self._effective,
            f"{self._head_name}.weight": self._head["weight"],
            f"{self._head_name}.bias": self._head["bias"],
        }
        mixed = self._precision != torch.float32
        with torch.autocast(self._scores.device.type, self._precision, enabled=mixed):
            logits = self._parts.above(between, values)
        loss = F.cross_entropy(logits.float(), self._targets[here])
        *gradients, weight, bias = torch.autograd.grad(loss, leaves)
        factor, _ = rate_and_momentum(self._recipe, self.steps_done)
        self._move_scores(gradients, factor)
        self._move_head({"weight": weight, "bias": bias}, factor * self._recipe.learning_rate)
        self.steps_done += 1
        self._write()

    def _move_scores(self, gradients: list[Tensor], factor: float) -> None:
        """Follow the gradient; its scale does not matter, because scores are only compared."""
        pulls = [
            (gradient * weight).flatten()
            for gradient, weight in zip(gradients, self._weights.values(), strict=True)
        ]
        self._velocity.mul_(_MOMENTUM).add_(torch.cat(pulls))
        self._scores.sub_(self._velocity, alpha=factor)

    def _move_head(self, gradients: Mapping[str, Tensor], rate: float) -> None:
        first, second = _BETAS
        taken = self.steps_done + 1
        for name, gradient in gradients.items():
            mean, square = self._head[f"{name}_mean"], self._head[f"{name}_square"]
            mean.mul_(first).add_(gradient, alpha=1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = (square / (1 - second**taken)).sqrt_().add_(_EPSILON)
            with torch.no_grad():
                self._head[name].addcdiv_(mean, size, value=-rate / (1 - first**taken))

    def _write(self) -> None:
        """Write W ⊙ M into the leaves of the graph."""
        masks = self.masks()
        with torch.no_grad():
            for name, leaf in self._effective.items():
                torch.mul(self._weights[name], masks[name], out=leaf)

    def masks(self) -> Masks:
        """Drop the weights with the lowest scores: parameter name → bool of its shape.

        Raises:
            ValueError: the scores are no longer finite.
        """
        check_finite({"scores": self._scores})
        grown = min(1.0, self.steps_done / max(1, _GROWING * self._recipe.steps))
        kept = self._scores >= _edge(self._scores, round(self._drops * grown))
        parts = kept.split([weight.numel() for weight in self._weights.values()])
        return {
            name: part.view(weight.shape)
            for (name, weight), part in zip(self._weights.items(), parts, strict=True)
        }

    def lower(self) -> Between | None:
        """Return the values below the masks for all images, in order; None if they are not kept."""
        return self._lower.plain

    def statistics(self) -> Statistics:
        """Return the task's statistics of normalisation: none, because the base's own apply."""
        return {}

    def head(self) -> tuple[Tensor, Tensor]:
        """Return the last layer as a file keeps it: (K, F) and (K,) float16.

        Raises:
            ValueError: its numbers do not fit 16 bits.
        """
        weight, bias = (self._head[name].detach().half() for name in ("weight", "bias"))
        check_finite({"weight": weight, "bias": bias})
        return weight, bias

    def state(self) -> dict[str, Tensor]:
        """Copy everything that the next step depends on, besides `steps_done`.

        Returns:
            "scores" and "velocity", (n,) float32 of all masked weights, end to end; "head/…", the
            last layer and its moments; and the tensors of `BatchOrder.state`.
        """
        tensors = dict(zip(_SCORES, self._flat(), strict=True))
        tensors |= {f"head/{name}": one for name, one in self._head.items()}
        copied = {name: one.detach().cpu().clone() for name, one in tensors.items()}
        return copied | self._order.state()

    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue where another learning of the same task, data and recipe stopped.

        Raises:
            ValueError: the state has another form; this learning must not be used any more.
        """
        expected = self.state()
        for name, one in expected.items():
            given = state.get(name)
            if given is None or given.shape != one.shape or given.dtype != one.dtype:
                raise ValueError(f"state {name}: none of its shape and type found")
        if state.keys() != expected.keys() or not 0 <= steps_done <= self._recipe.steps:
            raise ValueError(f"state of {steps_done} steps found, expected another")
        self._order.restore({name: state[name] for name in self._order.state()})
        with torch.no_grad():
            for name, one in zip(_SCORES, self._flat(), strict=True):
                one.copy_(state[name])
            for name, one in self._head.items():
                one.copy_(state[f"head/{name}"])
        self.steps_done = steps_done
        self._write()

    def _flat(self) -> tuple[Tensor, Tensor]:
        return self._scores, self._velocity


def _blank_head(classes: int, head: Head, device: torch.device) -> dict[str, Tensor]:
    """Make a head of zeros, and the moments of its two parts."""
    shapes = {"weight": (classes, head.features), "bias": (classes,)}
    return {name: torch.zeros(shapes[name.split("_")[0]], device=device) for name in _HEAD}


def _edge(scores: Tensor, dropped: int) -> float:
    """Return the lowest score that is kept when so many are dropped, or more if scores are equal.

    On a CPU numpy's partition is ten times as fast as `kthvalue`.
    """
    if dropped == 0:
        return -math.inf
    if scores.device.type != "cpu":
        edge = float(scores.kthvalue(dropped + 1).values)
    else:
        edge = float(np.partition(scores.numpy(), dropped)[dropped])
    return min(edge, 0.0)  # a weight with no reason to drop it stays
