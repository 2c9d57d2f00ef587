"""A mask that is still learning: its scores, its own optimiser and the record of how it fits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from supsup_cli.core.images import Pixels
from supsup_cli.core.learning.optimisers import MOMENTS, UpdateRule
from supsup_cli.core.learning.recipes import STREAM
from supsup_cli.core.masks.masks import Masks, initial_scores, threshold, write_supermask

# A mask's answer is the mean of its scores along the way, the last tenth weighing most: weight
# (η + 1) / (t + η) for step t (Shamir & Zhang 2013, polynomial-decay averaging). It needs no
# known end, and gains .4 points and more over the last scores.
AVERAGING = 8
# Batches that running means remember.
_MEAN_MEMORY = 10
_EXCESS_MEMORY = 20


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
class StreamMask:
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
        self._rule = UpdateRule(STREAM, self.scores)

    @classmethod
    def fresh(cls, shared: FrozenNetwork, *, seed: int, name: str) -> "StreamMask":
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
        self._rule.begin(self.steps)
        for (name, score), gradient in zip(self.scores.items(), gradients, strict=True):
            moments = [moment[name] for moment in self._rule.moments.values()]
            self._rule.update(name, score, moments, gradient.mul_(self.shared.weights[name]))
        self.fit.note(loss)
        weight = min(1.0, (AVERAGING + 1) / (self.steps + AVERAGING))
        for name, average in self.average.items():
            average.lerp_(self.scores[name], weight)
        return loss

    def state(self) -> Masks:
        """Copy all that the next step depends on.

        Returns:
            "fit", (3,) float64: batches, mean and excess of `Fit`; "scores/<parameter>",
            "average/<parameter>" and "<key>/<parameter>" for each key of `MOMENTS`: float32 of the
            parameter's shape, on the CPU.
        """
        kinds = {"scores": self.scores, "average": self.average, **self._rule.moments}
        tensors = {
            f"{key}/{name}": one for key, kind in kinds.items() for name, one in kind.items()
        }
        fit = [float(self.fit.batches), self.fit.mean, self.fit.excess]
        copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        return copies | {"fit": torch.tensor(fit, dtype=torch.float64)}

    @classmethod
    def load(cls, shared: FrozenNetwork, state: Mapping[str, Tensor]) -> "StreamMask":
        """Go on where a mask of the same network was.

        Args:
            shared: the network.
            state: what `state` gave.

        Raises:
            ValueError: names, types or shapes are not those of such a state.
        """
        fit = state.get("fit", torch.empty(0, dtype=torch.float64))
        batches, mean, excess = fit.tolist() if fit.shape == (3,) else (-1.0, 0.0, 0.0)
        if not (batches.is_integer() and batches >= 0):
            raise ValueError(f"state of a mask with fit {fit.tolist()} found, expected its own")
        keys = MOMENTS[STREAM.optimiser]
        expected = {"fit": (fit.shape, torch.float64)}
        for name, weight in shared.weights.items():
            for key in ("scores", "average", *keys):
                expected[f"{key}/{name}"] = (weight.shape, torch.float32)
        if {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()} != expected:
            raise ValueError(f"state of a mask with {sorted(state)} found, expected its own")
        scores, average = (
            {
                name: state[f"{kind}/{name}"].to(w.device).clone()
                for name, w in shared.weights.items()
            }
            for kind in ("scores", "average")
        )
        opened = cls(shared, scores, average, Fit(int(batches), mean, excess))
        for key, moment in opened._rule.moments.items():
            for name, one in moment.items():
                one.copy_(state[f"{key}/{name}"])
        return opened

    def _leaves(self) -> Masks:
        leaves = {name: torch.empty_like(w) for name, w in self.shared.weights.items()}
        write_supermask(leaves, self.shared.weights, self.scores)
        return {name: leaf.requires_grad_() for name, leaf in leaves.items()}

    def _logits(self, images: Tensor, leaves: Masks) -> Tensor:
        return self.shared.logits(leaves, images)
