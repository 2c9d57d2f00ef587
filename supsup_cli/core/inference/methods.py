"""Which task is this? One-Shot, Binary, gradient descent, and every mask tried (exhaustive).

Every method takes G groups of n images and makes one decision per group; n = 1 decides per image.
Scores are larger for better tasks; NaN marks a task that a method left out.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import vmap

from supsup_cli.core.masks.masks import Masks, MaskStack
from supsup_cli.core.masks.superposition import (
    Objective,
    images_at_once,
    masked_forward,
    mixture_loss,
    superpose,
)
from supsup_cli.core.networks.normalisation import no_statistics

from .exhaustive import exhaustive

Method = Literal["one-shot", "binary", "descent", "exhaustive"]
_GroupLoss = Callable[[Masks, Tensor], Tensor]
METHODS: tuple[Method, ...] = ("one-shot", "binary", "descent", "exhaustive")

# Per-group gradients hold P floats a group: as many groups at once as fit into 2²⁴ floats (64 MiB).
_GRADIENT_VALUES = 1 << 24
# Images that go through the network at once.
_CHUNK_IMAGES = 1024
# Gradient descent on alpha: how far a step goes, in standard deviations of the gradient over the
# tasks; the most steps; the share of one task at which it has converged.
_STEP, _MOST_STEPS, _CONVERGED = 0.3, 30, 0.99


def infer_tasks(
    network: nn.Module,
    stack: MaskStack,
    groups: Tensor,
    *,
    method: Method,
    objective: Objective,
    real: Tensor,
    own: Tensor,
    top: int | None = None,
) -> Tensor:
    """Score every task for every group of images.

    Args:
        network: frozen network that all masks share.
        stack: T packed masks, all of learned tasks.
        groups: (G, n, *input_shape), float32, normalised.
        method: how tasks are compared.
        objective: H, G or R.
        real: (O,) bool, outputs that may be a label of any task; used in superposition.
        own: (T, O) bool, each task's own outputs; used when its mask is tried by itself.
        top: number of a group's best scores that are needed; None for all.

    Returns:
        (G, T) float32, nats; the largest names the task; NaN if a task was not compared.

    Raises:
        ValueError: the stack is empty, or G or R lack superfluous outputs.
    """
    if len(stack) == 0:
        raise ValueError("no task has been learned")
    alone = method == "exhaustive"
    if objective != "H" and bool((own if alone else real[None]).all(-1).any()):
        raise ValueError(f"objective {objective} needs superfluous outputs")
    if alone:
        return exhaustive(network, stack, groups, objective, own, top)
    compare = {"one-shot": one_shot, "binary": binary, "descent": descent}[method]

    def loss(logits: Tensor) -> Tensor:
        return mixture_loss(objective, logits, real).mean()

    at_once = max(1, _GRADIENT_VALUES // (stack.layout.bytes * 8))
    return torch.cat([compare(network, stack, part, loss) for part in groups.split(at_once)])


def one_shot(
    network: nn.Module, stack: MaskStack, groups: Tensor, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """Score every task by one gradient step at the even superposition.

    Wortsman et al. 2020, Eq. 4: sₖ = −∂L/∂αₖ at αₖ = 1/T.

    Args:
        network: frozen network that all masks share.
        stack: T packed masks.
        groups: (G, n, *input_shape), float32, normalised.
        loss: (n, O) logits → () loss of a group.

    Returns:
        (G, T) float32, nats.
    """
    even = torch.full((1, len(stack)), 1 / len(stack), device=groups.device)
    return -alpha_gradients(network, stack, even, groups, loss)


def binary(
    network: nn.Module, stack: MaskStack, groups: Tensor, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """Halve the tasks in superposition by their gradient until one is left.

    Wortsman et al. 2020, section 3.3: ⌈log₂ T⌉ gradients. Exactly ⌈r/2⌉ of r tasks stay each time,
    the earlier one among equals, so that ties cannot keep it from ending.

    Args:
        network: frozen network that all masks share.
        stack: T packed masks.
        groups: (G, n, *input_shape), float32, normalised.
        loss: (n, O) logits → () loss of a group.

    Returns:
        (G, T) float32, nats: scores of the last comparison, NaN for tasks dropped before it.
    """
    tasks = len(stack)
    left = torch.arange(tasks, device=groups.device).expand(len(groups), tasks)
    while True:
        alphas = torch.zeros(left.shape[0], tasks, device=groups.device)
        alphas.scatter_(1, left, 1 / left.shape[1])
        scores = -alpha_gradients(network, stack, alphas, groups, loss).gather(1, left)
        if left.shape[1] <= 2:
            nothing = torch.full_like(alphas, torch.nan)
            return nothing.scatter(1, left, scores)
        best = scores.argsort(dim=1, descending=True, stable=True)
        keep = best[:, : (left.shape[1] + 1) // 2].sort(dim=1).values
        left = left.gather(1, keep)


def descent(
    network: nn.Module, stack: MaskStack, groups: Tensor, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """Follow the gradient from the even superposition until one task has nearly all of it.

    Wortsman et al. 2020, Eq. 3: α ← α − η ∂L/∂α, renormalised to the simplex, here by a softmax:
    log α ← log α − η ∂L/∂α + constant, so that no share leaves (0, 1). The first step alone, with
    η → ∞, is One-Shot. As losses differ in scale, η is 0.3 over the standard deviation of the
    gradient over tasks. It ends for a group when one task has α ≥ 0.99, or after 30 steps.

    Args:
        network: frozen network that all masks share.
        stack: T packed masks.
        groups: (G, n, *input_shape), float32, normalised.
        loss: (n, O) logits → () loss of a group.

    Returns:
        (G, T) float32, nats: log α.
    """
    log_alphas = torch.zeros(len(groups), len(stack), device=groups.device).log_softmax(1)
    for _ in range(_MOST_STEPS):
        left = log_alphas.exp().amax(1, keepdim=True) < _CONVERGED
        if not bool(left.any()):
            break
        gradient = alpha_gradients(network, stack, log_alphas.exp(), groups, loss)
        spread = gradient.std(1, correction=0, keepdim=True).clamp_min(torch.finfo().tiny)
        # Groups that have converged do not change any more, whatever happens to others.
        log_alphas = log_alphas.where(
            ~left, (log_alphas - _STEP * gradient / spread).log_softmax(1)
        )
    return log_alphas


def alpha_gradients(
    network: nn.Module,
    stack: MaskStack,
    alphas: Tensor,
    groups: Tensor,
    loss: Callable[[Tensor], Tensor],
) -> Tensor:
    """Differentiate each group's loss with respect to the coefficients of its superposition.

    ∂L/∂αₖ = Σₚ Mₖ[p] · ∂L/∂M̄[p] with M̄ = Σ αₖ Mₖ: one backward pass for the mixture, then one
    product with the packed masks. A network that normalises uses the statistics of the images that
    are decided together, because no task's statistics fit a mixture of masks, and those of further
    images would reveal their task.

    Args:
        network: frozen network that all masks share.
        stack: T packed masks.
        alphas: (G, T), or (1, T) for one superposition that all groups share; float32.
        groups: (G, n, *input_shape), float32, normalised.
        loss: (n, O) logits → () loss of a group.

    Returns:
        (G, T) float32, nats.
    """
    own = no_statistics(network, groups.device)

    def group_loss(masks: dict[str, Tensor], images: Tensor) -> Tensor:
        return loss(masked_forward(network, masks | own, images))

    mixture = superpose(stack, alphas)
    if len(groups) == 1:
        gradients = _gradient_by_chunks(group_loss, mixture, groups[0])
    else:
        gradients = _gradients(vmap(group_loss), _one_each(mixture, len(groups)), groups)
    return stack.products(stack.layout.join(gradients, lead=1))


def _gradient_by_chunks(group_loss: _GroupLoss, mixture: Masks, images: Tensor) -> Masks:
    """Average the gradient over one group, chunk by chunk: (1, *shape) each."""
    masks = {name: mask[0] for name, mask in mixture.items()}
    total = {name: torch.zeros_like(mask) for name, mask in masks.items()}
    for chunk in images.split(images_at_once(images, _CHUNK_IMAGES)):
        share = len(chunk) / len(images)
        for name, gradient in _gradients(group_loss, masks, chunk).items():
            total[name].add_(gradient, alpha=share)
    return {name: gradient[None] for name, gradient in total.items()}


def _one_each(mixture: Masks, groups: int) -> Masks:
    """Make a mixture for each group; groups that share one get views of it."""
    return {name: mask.expand(groups, *mask.shape[1:]) for name, mask in mixture.items()}


def _gradients(loss: _GroupLoss, masks: Masks, images: Tensor) -> Masks:
    """Differentiate the sum of losses with respect to masks, each of which is in one of them.

    The loss may be a `vmap`; `torch.func.grad` under it would say the same, but it imports a
    compiler, two seconds of a command's first decision.
    """
    leaves = {name: mask.detach().requires_grad_() for name, mask in masks.items()}
    with torch.enable_grad():
        total = loss(leaves, images).sum()
    return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
