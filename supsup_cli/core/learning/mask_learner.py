"""One mask that is being learned: its scores, their optimiser, one step, and a state to resume."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.core.learning.batches.negatives import loss_with_negatives
from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.networks.normalisation import blank_statistics, forward_on_batch

from .optimisers import MOMENTS, UpdateRule, pieces
from .recipes import Recipe
from .selection import selection


class MaskLearner:
    """Scores over the frozen network that follow cross-entropy, batch by batch.

    Wortsman et al. 2020, sections 3.1 and 3.2; `selection` turns scores into masks. The learner
    does not know its task or where its batches come from.

    Args:
        network: frozen network, in evaluation mode.
        scores: parameter name → float32 of its shape, on the network's device; updated in place.
        recipe: optimiser, schedule and its length, scale of the logits, density.
        precision: of products and convolutions, see `forward_on_batch`.
        tasks: number of tasks learned at once, with equal shares of each parameter's first
            dimension and of each batch; see `many_tasks`.

    Attributes:
        steps_done: number of updates so far.
    """

    def __init__(
        self,
        network: nn.Module,
        scores: Masks,
        recipe: Recipe,
        precision: torch.dtype = torch.float32,
        tasks: int = 1,
    ) -> None:
        self.steps_done = 0
        self._tasks = tasks
        self._precision = precision
        self._network = network
        self._scores = scores
        self._recipe = recipe
        self._weights: Masks = {name: network.get_parameter(name) for name in scores}
        self._effective: Masks = {
            name: weight.detach().clone().requires_grad_() for name, weight in self._weights.items()
        }
        device = next(iter(scores.values())).device
        # Running statistics are never used: see `recalibrated_statistics`.
        self._statistics = blank_statistics(network, device)
        self._select = selection(self._weights, recipe.density)
        self._rule = UpdateRule(recipe, scores)
        kinds: list[Masks] = [scores, self._weights, self._effective, *self._rule.moments.values()]
        self._pieces = {
            name: list(zip(*(pieces(kind[name].detach()) for kind in kinds), strict=True))
            for name in scores
        }
        self._select.write(self._effective, scores, 0.0)

    def step(self, inputs: Tensor, targets: Tensor, outputs: Tensor) -> None:
        """Update the scores once.

        Args:
            inputs: (B, C, H, W) float32, normalised, on the network's device; or (2 B, C, H, W)
                with as many negatives after the images.
            targets: (B,) int64, the output for each image's class.
            outputs: (K,) int64, the task's own outputs; negatives should get the others.

        Raises:
            ValueError: there are negatives but no superfluous outputs.
        """
        self._follow(self._logits(inputs), targets, outputs)

    def step_unless_odd(self, inputs: Tensor, targets: Tensor, most: float) -> float:
        """Update the scores once, unless the batch fits too badly; no negatives.

        Args:
            inputs: (B, C, H, W) float32, normalised, on the network's device.
            targets: (B,) int64.
            most: with more loss than this nothing is learned, nats.

        Returns:
            the cross-entropy before the step, over all outputs, nats.
        """
        logits = self._logits(inputs)
        loss = float(F.cross_entropy(logits.detach(), targets))
        if loss <= most:
            self._follow(logits, targets, targets)
        return loss

    def loss(self, inputs: Tensor, targets: Tensor) -> float:
        """Measure the cross-entropy of the current scores, over all outputs, in nats."""
        with torch.no_grad():
            return float(F.cross_entropy(self._logits(inputs), targets))

    def _logits(self, inputs: Tensor) -> Tensor:
        return forward_on_batch(
            self._network, self._effective, self._statistics, inputs, self._precision
        )

    def _follow(self, logits: Tensor, targets: Tensor, outputs: Tensor) -> None:
        """Take a step down the loss of logits computed from the effective weights."""
        if self._recipe.logit_scale != 1:
            logits = logits * self._recipe.logit_scale
        loss = loss_with_negatives(logits, targets, outputs, self._recipe.negatives_weight)
        if self._tasks != 1:  # the sum of the tasks' own means
            loss = loss * self._tasks
        gradients = torch.autograd.grad(loss, list(self._effective.values()))
        self._update(dict(zip(self._effective, gradients, strict=True)))

    def _update(self, gradients: dict[str, Tensor]) -> None:
        """Update the scores, and write the resulting effective weights."""
        self._rule.begin(self.steps_done)
        written = True
        for name in list(gradients):
            # Each gradient is freed once it is used; that of a convolution may have another memory
            # layout.
            parts = pieces(gradients.pop(name).contiguous())
            for gradient, piece in zip(parts, self._pieces[name], strict=True):
                score, weight, effective, *moments = piece
                self._select.differentiate(score, weight, gradient)
                self._rule.update(name, score, moments, gradient)
                written = self._select.rewrite(effective, score, weight)
        self.steps_done += 1
        if not written:
            self._select.write(self._effective, self._scores, self._progress)

    @property
    def _progress(self) -> float:
        return self.steps_done / self._recipe.steps

    def masks(self) -> Masks:
        """Make the masks from the scores.

        Returns:
            parameter name → bool of its shape, on the network's device.

        Raises:
            ValueError: the scores are no longer finite.
        """
        check_finite(self._scores)
        return self._select.masks(self._scores)

    def state(self) -> dict[str, Tensor]:
        """Copy everything that the next step depends on, besides `steps_done`.

        Returns:
            "scores/<parameter>" and "<key>/<parameter>" for each key of `MOMENTS`: float32 of the
            parameter's shape, on the CPU.
        """
        kinds = {"scores": self._scores, **self._rule.moments}
        tensors = {
            f"{key}/{name}": one for key, kind in kinds.items() for name, one in kind.items()
        }
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue where a learner of the same network and recipe stopped.

        Args:
            state: what `state` returned.
            steps_done: of that learner.

        Raises:
            ValueError: names, types or shapes differ from such a state; nothing is changed.
        """
        self._check(state)
        kinds = {"scores": self._scores, **self._rule.moments}
        for key, kind in kinds.items():
            for name, one in kind.items():
                one.copy_(state[f"{key}/{name}"])
        self.steps_done = steps_done
        self._select.write(self._effective, self._scores, self._progress)

    def _check(self, state: Mapping[str, Tensor]) -> None:
        expected = {
            f"{key}/{name}": score.shape
            for name, score in self._scores.items()
            for key in ("scores", *MOMENTS[self._recipe.optimiser])
        }
        found = {name: tensor.shape for name, tensor in state.items()}
        if found != expected:
            different = min(name for name, _ in found.items() ^ expected.items())
            raise ValueError(
                f"state {different}: shape {found.get(different)} found, "
                f"expected {expected.get(different)}"
            )
        other = [name for name, tensor in state.items() if tensor.dtype != torch.float32]
        if other:
            raise ValueError(f"state {other[0]}: {state[other[0]].dtype} found, expected float32")


def check_finite(scores: Mapping[str, Tensor]) -> None:
    """Refuse scores that cannot become a mask.

    Raises:
        ValueError: they are no longer finite.
    """
    if not all(bool(score.isfinite().all()) for score in scores.values()):
        raise ValueError("learning diverged: scores are no longer finite")
