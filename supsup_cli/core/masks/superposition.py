"""One network under any mask or mixture of masks, and the objectives that judge a mixture."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .masks import Masks, MaskStack

Objective = Literal["H", "G", "R"]
_INPUT_VALUES = 1 << 24
OBJECTIVES: tuple[Objective, ...] = ("H", "G", "R")


def images_at_once(images: Tensor, most: int) -> int:
    """Choose how many images go through a network together; fewer large ones, to bound memory.

    Args:
        images: (N, C, H, W), of any type.
        most: the number for small images.

    Returns:
        at least 1, and no more than have 2²⁴ input values together.
    """
    return max(1, min(most, _INPUT_VALUES // max(1, images[0].numel() if len(images) else 1)))


def masked_forward(network: nn.Module, masks: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Run the network with W ⊙ M in place of W (Wortsman et al. 2020, Eq. 1).

    Args:
        network: frozen network that all masks share.
        masks: parameter name → tensor of its shape; zeros and ones, or any mixture of masks. If the
            network normalises, also buffer name → the task's own statistics.
        images: (B, *input_shape), float32, normalised.

    Returns:
        (B, O) float32 logits.
    """
    logits: Tensor = functional_call(network, effective_weights(network, masks), (images,))
    return logits


def effective_weights(network: nn.Module, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Multiply each weight by its mask; anything that is not a parameter stays as it is.

    Args and shapes are those of `masked_forward`.

    Returns:
        name → float32, to use instead of the network's own tensors.
    """
    parameters = dict(network.named_parameters())
    return {
        name: parameters[name] * value if name in parameters else value
        for name, value in masks.items()
    }


def superpose(stack: MaskStack, alphas: Tensor) -> Masks:
    """Mix masks: Σₜ αₜ Mₜ (Wortsman et al. 2020, Eq. 2).

    Args:
        stack: T packed masks.
        alphas: (B, T) float32, one mixture per row.

    Returns:
        parameter name → (B, *shape) float32.
    """
    return stack.layout.split(stack.weighted_sum(alphas))


def entropy(logits: Tensor) -> Tensor:
    """H = −Σ p log p of the softmax over all outputs: (…, O) → (…), nats."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def superfluous_pull(logits: Tensor, real: Tensor) -> Tensor:
    """G = logsumexp(logits) with the gradient blocked on the real outputs: (…, O) → (…), nats.

    Wortsman et al. 2020, section 3.4: on the superfluous outputs its gradient is that of the
    training loss, whatever the label is. Use only its gradient; `misfit` gives a value that
    compares masks.

    Args:
        logits: (…, O) float32.
        real: (O,) bool, true where an output may be a label.
    """
    return torch.where(real, logits.detach(), logits).logsumexp(-1)


def log_odds(logits: Tensor, real: Tensor) -> Tensor:
    """R = logsumexp(superfluous logits) − logsumexp(real logits): (…, O) → (…), nats.

    The log-odds that the network answers "none of my classes".

    Args:
        logits: (…, O) float32.
        real: (O,) bool, or any shape that broadcasts; true where an output may be a label.
    """
    return _logsumexp_where(logits, ~real) - _logsumexp_where(logits, real)


def mixture_loss(objective: Objective, logits: Tensor, real: Tensor) -> Tensor:
    """Compute the objective; its gradient with respect to α picks a task: (…, O) → (…), nats."""
    if objective == "H":
        return entropy(logits)
    return superfluous_pull(logits, real) if objective == "G" else log_odds(logits, real)


def misfit(objective: Objective, logits: Tensor, real: Tensor) -> Tensor:
    """Judge one mask that was run alone; smaller is better: (…, O) → (…), nats.

    For G it is logsumexp of only the superfluous logits, the part that G's gradient reaches. The
    logits of the real outputs are large exactly if a mask fits, so G's own value would mislead.
    """
    if objective == "H":
        return entropy(logits)
    return _logsumexp_where(logits, ~real) if objective == "G" else log_odds(logits, real)


def _logsumexp_where(logits: Tensor, chosen: Tensor) -> Tensor:
    return logits.masked_fill(~chosen, -torch.inf).logsumexp(-1)
