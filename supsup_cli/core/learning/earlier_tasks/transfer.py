"""Start a new task's scores from what earlier tasks have learned."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import Masks, MaskStack, initial_scores
from supsup_cli.core.masks.superposition import masked_forward

# Training images to try earlier masks on, and the number of masks then used.
_IMAGES = 512
MOST_PARENTS = 8
# A mask with so many nats more loss counts e times less.
_SCALE = 0.1
# How far the earlier masks and the random draw move a score, in units of 1 / √fan_in. Measured on
# RotatedMNIST: smaller masks' parts are forgotten, larger ones keep scores from moving.
_FROM_MASKS, _OWN = 0.5, 0.25


def fit_loss(network: nn.Module, masks: Masks, data: LabelledImages, pixels: Pixels) -> Tensor:
    """Try masks on some training images, spread over all, because a folder's come class by class.

    Args:
        network: frozen network.
        masks: parameter name → float32 of its shape.
        data: training images, with the outputs of their classes.
        pixels: turns bytes into inputs.

    Returns:
        () float32, nats: mean cross-entropy over all outputs.

    Raises:
        ValueError: there are no images.
    """
    if len(data) == 0:
        raise ValueError("no training images")
    every = max(1, len(data) // _IMAGES)
    here = torch.arange(0, len(data), every, device=data.device)[:_IMAGES]
    logits = masked_forward(network, masks, pixels(data.take(here)))
    return F.cross_entropy(logits, data.targets[here])


def losses_by_task(
    network: nn.Module, stack: MaskStack, data: LabelledImages, pixels: Pixels
) -> Tensor:
    """Try every mask of a stack: (T,) float32, nats; see `fit_loss`."""
    losses = [fit_loss(network, stack.masks(row), data, pixels) for row in range(len(stack))]
    return torch.stack(losses)


def choose_parents(losses: Tensor) -> list[int]:
    """Choose the tasks to start from: those that fit best, at most eight, best first.

    Args:
        losses: (T,) float32, nats, from `losses_by_task`.
    """
    return losses.argsort(stable=True)[:MOST_PARENTS].tolist()


def transferred_scores(
    parents: MaskStack, losses: Tensor, *, sparse: bool, seed: int, task: str
) -> Masks:
    """Start scores from the mean of earlier masks, in which better fitting ones weigh more.

    Wortsman et al. 2020, section 3.2, start from the plain mean of all earlier masks. This is the
    same if all fit equally well. If one fits best, as with similar tasks, it is nearly that one.

        score = (½ (2 M̄ − 1) + ¼ u) / √fan_in
        M̄ = Σₖ wₖ Mₖ,   w = softmax(−loss / 0.1),   u ~ U(−1, 1)

    For a sparse mask, which ranks by |score|, ½ M̄ replaces ½ (2 M̄ − 1).

    Args:
        parents: K packed masks.
        losses: (K,) float32, nats, how badly each fits.
        sparse: whether the new mask is selected by |score|.
        seed: of the draw u, together with `task`.
        task: name of the new task.

    Returns:
        parameter name → float32 of its shape, on the stack's device.
    """
    weights = (-losses / _SCALE).softmax(0)
    mean = parents.layout.split(bit_kernels.weighted_sum(weights[None], parents.packed)[0])
    drawn = initial_scores(parents.layout.shapes, seed=seed, task=task)
    scores = {}
    for name, share in mean.items():
        kept = share if sparse else 2 * share - 1
        bound = 1 / math.sqrt(share[0].numel())
        scores[name] = kept * (_FROM_MASKS * bound) + drawn[name].to(share.device) * _OWN
    return scores
