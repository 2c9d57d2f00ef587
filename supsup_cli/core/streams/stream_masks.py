"""A mask that is still learning: its learner, the average of its scores, its past losses."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from supsup_cli.core.images import Pixels
from supsup_cli.core.learning.mask_learner import MaskLearner, check_finite
from supsup_cli.core.learning.recipes import STREAM
from supsup_cli.core.masks.masks import Masks, initial_scores, threshold

# A mask answers with the mean of its scores so far, in which the last tenth weighs most: weight (η
# + 1) / (t + η) for step t (Shamir & Zhang 2013, polynomial-decay averaging). It needs no known
# end, and gains at least .4 points over the last scores.
AVERAGING = 8
# Number of batches that running means remember.
_MEAN_MEMORY = 10
_EXCESS_MEMORY = 20
_AVERAGE = "average/"  # of the names in a state


@dataclass(frozen=True)
class FrozenNetwork:
    """What all masks share: the network, its masked weights, and how pixels become inputs.

    Attributes:
        network: frozen network, in evaluation mode.
        weights: masked parameter name → float32, from the input on.
        pixels: turns bytes into inputs.
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
    """A mask's losses on batches just before it learned them, in nats.

    Attributes:
        batches: number of batches.
        mean: running mean of the loss.
        excess: running mean of the loss above that mean. Losses below it do not count, because a
            mask that learns fast is not a mask that varies.
    """

    batches: int = 0
    mean: float = 0.0
    excess: float = 0.0

    def note(self, loss: float) -> None:
        """Add the loss of one more batch."""
        if self.batches:
            beyond = max(0.0, loss - self.mean)
            self.excess += (beyond - self.excess) / min(self.batches, _EXCESS_MEMORY)
        self.batches += 1
        self.mean += (loss - self.mean) / min(self.batches, _MEAN_MEMORY)


class StreamMask:
    """One mask's learner with everything it needs to continue; it does not know where tasks end.

    Args:
        shared: the network.
        scores: parameter name → float32, the start of the next step.
        average: parameter name → float32, the scores that the mask answers with.
        fit: losses of batches before they were learned.
    """

    def __init__(self, shared: FrozenNetwork, scores: Masks, average: Masks, fit: Fit) -> None:
        self.scores = scores
        self.fit = fit
        self._pixels = shared.pixels
        self._average = average
        self._learner = MaskLearner(shared.network, scores, STREAM)

    @classmethod
    def fresh(cls, shared: FrozenNetwork, *, seed: int, name: str) -> "StreamMask":
        """Draw the scores of a new mask."""
        shapes = {key: tuple(weight.shape) for key, weight in shared.weights.items()}
        drawn = initial_scores(shapes, seed=seed, task=name)
        scores = {key: drawn[key].to(weight.device) for key, weight in shared.weights.items()}
        return cls(shared, scores, {key: score.clone() for key, score in scores.items()}, Fit())

    @property
    def steps(self) -> int:
        """Number of batches it has learned from."""
        return self.fit.batches

    def masks(self) -> Masks:
        """Threshold the averaged scores: parameter name → bool of its shape.

        Raises:
            ValueError: the scores are no longer finite.
        """
        check_finite(self.scores)
        return threshold(self._average)

    def loss(self, images: Tensor, targets: Tensor) -> float:
        """Measure the cross-entropy of the current scores, over all outputs, in nats."""
        return self._learner.loss(self._pixels(images), targets)

    def learn(self, images: Tensor, targets: Tensor, *, most: float = float("inf")) -> float:
        """Take one step, unless the batch fits too badly.

        Args:
            images: (B, C, H, W) uint8.
            targets: (B,) int64.
            most: loss above which nothing is learned or remembered, nats.

        Returns:
            the loss before the step, nats.
        """
        loss = self._learner.step_unless_odd(self._pixels(images), targets, most)
        if self._learner.steps_done > self.steps:
            self.fit.note(loss)
            weight = min(1.0, (AVERAGING + 1) / (self.steps + AVERAGING))
            for name, average in self._average.items():
                average.lerp_(self.scores[name], weight)
        return loss

    def state(self) -> Masks:
        """Copy everything that the next step depends on.

        Returns:
            what `MaskLearner.state` returns; "average/<parameter>", float32 of the parameter's
            shape; "fit", (3,) float64: batches, mean and excess of `Fit`; all on the CPU.
        """
        average = {f"{_AVERAGE}{name}": one.cpu().clone() for name, one in self._average.items()}
        fit = [float(self.fit.batches), self.fit.mean, self.fit.excess]
        return self._learner.state() | average | {"fit": torch.tensor(fit, dtype=torch.float64)}

    @classmethod
    def load(cls, shared: FrozenNetwork, state: Mapping[str, Tensor]) -> "StreamMask":
        """Continue where a mask of the same network stopped.

        Args:
            shared: the network.
            state: what `state` returned.

        Raises:
            ValueError: names, types or shapes are not those of such a state.
        """
        own = {name: one for name, one in state.items() if name.startswith(_AVERAGE)}
        fit = state.get("fit", torch.empty(0))
        found = {name: (tensor.shape, tensor.dtype) for name, tensor in own.items()}
        expected = {f"{_AVERAGE}{n}": (w.shape, torch.float32) for n, w in shared.weights.items()}
        batches, mean, excess = fit.tolist() if fit.shape == (3,) else (-1.0, 0.0, 0.0)
        counted = fit.dtype == torch.float64 and batches >= 0 and batches.is_integer()
        if found != expected or not counted:
            raise ValueError(f"state of a mask with {sorted(state)} found, expected its own")
        average = {
            name: own[f"{_AVERAGE}{name}"].to(weight.device).clone()
            for name, weight in shared.weights.items()
        }
        scores = {name: torch.zeros_like(weight) for name, weight in shared.weights.items()}
        opened = cls(shared, scores, average, Fit(int(batches), mean, excess))
        learned = {name: one for name, one in state.items() if name not in own and name != "fit"}
        try:
            opened._learner.restore(learned, int(batches))
        except ValueError as error:
            raise ValueError(f"state of a mask: {error}") from error
        return opened
