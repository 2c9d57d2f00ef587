"""A mask that is still learning: its scores, its own optimiser and the record of how it fits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from .learning import Pixels
from .masks import Masks, initial_scores, straight_through, threshold, write_supermask
from .recipes import STREAM, inverse_root, optimiser

# A mask's answer is the mean of its scores along the way, the last tenth weighing most: weight
# (η + 1) / (t + η) for step t (Shamir & Zhang 2013, polynomial-decay averaging). It needs no
# known end, and gains .4 points and more over the last scores.
AVERAGING = 8
# Batches that running means remember.
_MEAN_MEMORY = 10
_EXCESS_MEMORY = 20
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")

State = dict[str, Tensor | int]


@dataclass(frozen=True)
class FrozenNetwork:
    """What all masks share: the network, its masked weights, the form of its inputs.

    Attributes:
        network: frozen network, in evaluation mode.
        weights: masked parameter name → float32, from the input on.
        pixels: how bytes become inputs.
    """

    network: nn.Module
    weights: Mapping[str, Tensor]
    pixels: Pixels

    def logits(self, effective: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Run images (B, C, H, W) uint8 with the given weights: (B, O) float32."""
        logits: Tensor = functional_call(self.network, dict(effective), (self.pixels(images),))
        return logits


@dataclass
class Fit:
    """Record of a mask's loss on batches it was about to learn, in nats.

    Attributes:
        batches: how many there were.
        mean: running mean of the loss.
        excess: running mean of what the loss exceeded that mean by. What lies below does not
            count: a mask that learns fast is not a mask that varies.
    """

    batches: int = 0
    mean: float = 0.0
    excess: float = 0.0

    def note(self, loss: float) -> None:
        """Remember the loss of one more batch."""
        if self.batches:
            beyond = max(0.0, loss - self.mean)
            self.excess += (beyond - self.excess) / min(self.batches, _EXCESS_MEMORY)
        self.batches += 1
        self.mean += (loss - self.mean) / min(self.batches, _MEAN_MEMORY)


@dataclass
class OpenMask:
    """One mask's scores with all that learning on needs; nothing in it knows where tasks end.

    Attributes:
        shared: the network.
        scores: parameter name → float32, what the next step starts from.
        average: parameter name → float32, what the mask answers with.
        fit: how well batches fitted before they were learned.
    """

    shared: FrozenNetwork
    scores: Masks
    average: Masks
    fit: Fit = field(default_factory=Fit)

    def __post_init__(self) -> None:
        self._rule, self._schedule = optimiser(STREAM, self.scores.values())

    @classmethod
    def fresh(cls, shared: FrozenNetwork, *, seed: int, name: str) -> "OpenMask":
        """Draw the scores of a mask that has learned nothing."""
        shapes = {key: tuple(weight.shape) for key, weight in shared.weights.items()}
        drawn = initial_scores(shapes, seed=seed, task=name)
        scores = {key: drawn[key].to(weight.device) for key, weight in shared.weights.items()}
        return cls(shared, scores, {key: score.clone() for key, score in scores.items()})

    @property
    def steps(self) -> int:
        """Batches it has learned from."""
        return self.fit.batches

    @property
    def finite(self) -> bool:
        """Whether all scores are finite; they are not once learning has diverged."""
        return all(bool(score.isfinite().all()) for score in self.scores.values())

    def masks(self) -> Masks:
        """Threshold the averaged scores: parameter name → bool of its shape."""
        return threshold(self.average)

    def loss(self, images: Tensor, targets: Tensor) -> float:
        """Measure the cross-entropy of the scores as they stand, over all outputs, in nats."""
        with torch.no_grad():
            return float(F.cross_entropy(self._logits(images, self._leaves()), targets))

    def learn(self, images: Tensor, targets: Tensor, *, most: float = float("inf")) -> float:
        """Take one step, unless the batch fits too badly.

        Args:
            images: (B, C, H, W) uint8.
            targets: (B,) int64.
            most: loss above which nothing is learned or remembered, nats.

        Returns:
            the loss before the step, nats.
        """
        leaves = self._leaves()
        logits = self._logits(images, leaves)
        loss = float(F.cross_entropy(logits.detach(), targets))
        if not loss <= most:
            return loss
        objective = F.cross_entropy(logits * STREAM.logit_scale, targets)
        gradients = torch.autograd.grad(objective, list(leaves.values()))
        straight_through(self.scores, self.shared.weights, gradients)
        self._rule.step()
        self._rule.zero_grad()
        self._schedule.step()
        self.fit.note(loss)
        weight = min(1.0, (AVERAGING + 1) / (self.steps + AVERAGING))
        for name, average in self.average.items():
            average.lerp_(self.scores[name], weight)
        return loss

    def export(self) -> State:
        """Give all state as tensors by name, so that `load` continues bit for bit."""
        state: State = {"fit.batches": self.fit.batches}
        state["fit"] = torch.tensor([self.fit.mean, self.fit.excess], dtype=torch.float64)
        for name, score in self.scores.items():
            state[f"scores.{name}"] = score
            state[f"average.{name}"] = self.average[name]
            for key in _MOMENTS if self.steps else ():
                state[f"{key}.{name}"] = self._rule.state[score][key]
        return state

    @classmethod
    def load(cls, shared: FrozenNetwork, state: Mapping[str, Tensor | int]) -> "OpenMask":
        """Continue from an exported state; its tensors are taken over, not copied.

        Raises:
            KeyError: a part of the state is missing.
        """
        tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
        scores, average = (
            {name: tensors[f"{kind}.{name}"] for name in shared.weights}
            for kind in ("scores", "average")
        )
        mean, excess = tensors["fit"].tolist()
        batches = int(state["fit.batches"])
        opened = cls(shared, scores, average, Fit(batches, mean, excess))
        if batches:
            for name, score in scores.items():
                opened._rule.state[score] = {key: tensors[f"{key}.{name}"] for key in _MOMENTS}
            opened._schedule.last_epoch = batches
            for group in opened._rule.param_groups:
                group["lr"] = group["initial_lr"] * inverse_root(batches)
        return opened

    def _leaves(self) -> Masks:
        leaves = {name: torch.empty_like(w) for name, w in self.shared.weights.items()}
        write_supermask(leaves, self.shared.weights, self.scores)
        return {name: leaf.requires_grad_() for name, leaf in leaves.items()}

    def _logits(self, images: Tensor, leaves: Masks) -> Tensor:
        return self.shared.logits(leaves, images)
