"""Recover a mask from images only, by descent on a relaxed mask through the attractors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from supsup_cli.core.masks.superposition import entropy, masked_forward

from .attractors import energy, is_fixed_point


@dataclass(frozen=True)
class RecoverySettings:
    """Settings of the descent.

    Attributes:
        attempts: number of descents.
        steps: largest number of steps of each; it ends earlier when every unit is decided.
        batch_size: images per step, at most.
        rate: size of a step of the doubt at first, root mean square over all units.
        pull: factor on the energy's gradient in the last step.
    """

    attempts: int = 3
    steps: int = 11
    batch_size: int = 64
    rate: float = 0.5
    pull: float = 1.0


DEFAULT_RECOVERY = RecoverySettings()
# With more patterns than this, 11 steps are too few to leave their mixture.
_FEW_PATTERNS = 5
_OF_MANY = RecoverySettings(attempts=2, steps=30)


def settings_for(patterns: int) -> RecoverySettings:
    """Choose the settings for matrices that hold so many patterns, at least one."""
    return DEFAULT_RECOVERY if patterns <= _FEW_PATTERNS else _OF_MANY


@dataclass(frozen=True)
class Recovery:
    """The result of a recovery.

    Attributes:
        mask: parameter name → (d,) bool.
        images: number of images used.
        steps: number of steps taken.
        converged: whether the mask is at rest in every matrix.
        doubts: doubt of the relaxed mask before each step, nats; see `doubt`.
        energies: energy of the mask after each step, all matrices together.
        trace: the mask after each step.
    """

    mask: dict[str, Tensor]
    images: int
    steps: int
    converged: bool
    doubts: tuple[float, ...]
    energies: tuple[float, ...]
    trace: tuple[dict[str, Tensor], ...]


def doubt(logits: Tensor) -> Tensor:
    """Mean entropy of the answers, minus the entropy of the mean answer.

    mean H(p) − (n − 1) / n · H(mean p)

    Entropy alone (Wortsman et al. 2020, section 3.5) is also low if a foreign mask gives all images
    the same answer with confidence. The task's own mask is sure of each image and also tells images
    apart (Bridle et al. 1991; Krause et al. 2010). For one image the doubt is H.

    Args:
        logits: (n, O) float32.

    Returns:
        () float32, nats.
    """
    count = len(logits)
    log_mean = logits.log_softmax(-1).logsumexp(0) - math.log(count)
    return entropy(logits).mean() - (count - 1) / count * entropy(log_mean)


def recover(
    network: nn.Module,
    matrices: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    images: Tensor,
    settings: RecoverySettings = DEFAULT_RECOVERY,
) -> Recovery:
    """Find the stored mask that fits images, using only the matrices.

    Wortsman et al. 2020, section 3.5: gradient descent on a relaxed mask s from the mean of the
    stored patterns; the doubt counts less and less, the energy more and more,

        s ← clip(s − ρ (1 − t/T) W ∇D / ‖W ∇D‖ + γ (t/T) W s, −1, 1)

    with the network under the mask (1 + s) / 2. The doubt's gradient passes through the matrices,
    which keep what lies in the span of the stored patterns and drop everything else; otherwise most
    of a step would lead to no pattern. All layers have the same factor, so that they agree.

    A descent may end in the attractor of another task. The next attempt therefore unlearns the mask
    found (Hopfield et al. 1983), W − z zᵀ / d, and descends again; the answer is the mask with the
    least doubt.

    Args:
        network: frozen network with masks over units.
        matrices: parameter name → (d, d) float64, symmetric, zero diagonal.
        start: parameter name → (d,), mean of the stored patterns, −1…1.
        images: (n, C, H, W) float32, normalised; of one task, n ≥ 1. If they are more than a batch,
            each step uses some of them, spread over all.
        settings: rates and numbers of steps.

    Raises:
        ValueError: there are no images.
    """
    if len(images) == 0:
        raise ValueError("no images to recover a mask from")
    parts = -(-len(images) // settings.batch_size)
    batches = [images[part::parts] for part in range(parts)]
    pulls = {name: one.to(torch.float32, copy=True) for name, one in matrices.items()}
    first = {name: one.to(torch.float32, copy=True) for name, one in start.items()}
    best, least = {}, math.inf
    doubts: list[float] = []
    trace: list[dict[str, Tensor]] = []
    for _ in range(settings.attempts):
        mask, found, masks = _attempt(network, pulls, first, batches, settings)
        doubts += found
        trace += masks
        value = _doubt_under(network, mask, batches[0])
        if value < least:
            best, least = mask, value
        for name, one in mask.items():
            _unlearn(pulls[name], first[name], _signs(one).to(torch.float32))
    rests = [is_fixed_point(one, _signs(best[name])) for name, one in matrices.items()]
    used = sum(map(len, batches[: settings.steps]))
    energies = tuple(
        sum(energy(one, _signs(mask[name])) for name, one in matrices.items()) for mask in trace
    )
    return Recovery(best, used, len(trace), all(rests), tuple(doubts), energies, tuple(trace))


def _attempt(
    network: nn.Module,
    pulls: Mapping[str, Tensor],
    first: Mapping[str, Tensor],
    batches: Sequence[Tensor],
    settings: RecoverySettings,
) -> tuple[dict[str, Tensor], list[float], list[dict[str, Tensor]]]:
    """Descend once; return the mask, and for each step the doubt before and the mask after it."""
    state = {name: one.clone() for name, one in first.items()}
    mask: dict[str, Tensor] = {}
    doubts, trace = [], []
    for step in range(settings.steps):
        value, gradients = _gradients(network, state, batches[step % len(batches)])
        _descend(state, gradients, pulls, step / settings.steps, settings)
        mask = {name: one >= 0 for name, one in state.items()}
        doubts.append(value)
        trace.append(mask)
        if all(bool((one.abs() == 1).all()) for one in state.values()):
            break
    return mask, doubts, trace


def _unlearn(pull: Tensor, first: Tensor, pattern: Tensor) -> None:
    """Remove a pattern from a matrix and from the start, in place."""
    pull.sub_(torch.outer(pattern, pattern) / len(pattern)).fill_diagonal_(0)
    first.sub_(pattern * (first @ pattern) / len(pattern)).clamp_(-1, 1)


def _doubt_under(network: nn.Module, mask: Mapping[str, Tensor], images: Tensor) -> float:
    values = {name: one.to(torch.float32) for name, one in mask.items()}
    return float(doubt(masked_forward(network, values, images)))


def _gradients(
    network: nn.Module, state: Mapping[str, Tensor], images: Tensor
) -> tuple[float, list[Tensor]]:
    """Compute the doubt under a relaxed mask, and its gradient for each of the state's tensors."""
    leaves = {name: ((1 + one) / 2).requires_grad_() for name, one in state.items()}
    with torch.enable_grad():
        value = doubt(masked_forward(network, leaves, images))
    return float(value.detach()), list(torch.autograd.grad(value, list(leaves.values())))


def _descend(
    state: Mapping[str, Tensor],
    gradients: list[Tensor],
    pulls: Mapping[str, Tensor],
    share: float,
    settings: RecoverySettings,
) -> None:
    """Take a step in place; `share` of the steps are done."""
    falls = [-(pulls[name] @ one) for name, one in zip(state, gradients, strict=True)]
    length = math.sqrt(sum(float(one @ one) for one in falls))
    units = sum(map(len, falls))
    rate = (1 - share) * settings.rate * math.sqrt(units) / length if length else 0.0
    for (name, one), fall in zip(state.items(), falls, strict=True):
        rest = settings.pull * share * (pulls[name] @ one)
        one.add_(fall, alpha=rate).add_(rest).clamp_(-1, 1)


def _signs(mask: Tensor) -> Tensor:
    return mask.to(torch.float64) * 2 - 1
