"""One-Shot for BatchEnsemble: the task from its factors (Wortsman et al. 2020, Fig. 5 right)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from supsup_cli.baselines.batch_ensemble import BatchEnsemble
from supsup_cli.baselines.learner import Learner
from supsup_cli.baselines.method import Tensors
from supsup_cli.baselines.networks import along_inputs
from supsup_cli.core.masks.superposition import entropy, images_at_once

_AT_ONCE = 512


def one_shot_factors(method: BatchEnsemble, learner: Learner, images: Tensor) -> Tensor:
    """Score every task by one gradient step at the even mixture of factors, image by image.

        W(α) = W ⊙ Σₜ αₜ sₜ rₜᵀ,   scoreₜ = −∂H/∂αₜ  at αₜ = 1 / T

    The derivative needs no gradient of the weights: with a the inputs of a layer and δ the gradient
    of its outputs, ∂H/∂αₜ = Σ over layers and positions of (δ ⊙ sₜ) · W(rₜ ⊙ a). A network that
    normalises takes the mean of the tasks' statistics.

    Args:
        method: of the learner.
        learner: of T ≥ 1 tasks.
        images: (N, C, H, W) uint8.

    Returns:
        (N, T) float32, nats; the largest names the task.
    """
    mixture = dict(learner.shared)
    for layer in method.layers:
        factors = [method.factor(task.own, layer) for task in learner.tasks]
        mixture[f"{layer}.weight"] = mixture[f"{layer}.weight"] * torch.stack(factors).mean(0)
    statistics: Tensors = {
        name: torch.stack([task.statistics[name] for task in learner.tasks]).mean(0)
        for name in learner.tasks[0].statistics
    }
    parts = [
        _scores(method, learner, mixture | statistics, learner.pixels(part))
        for part in images.split(images_at_once(images, _AT_ONCE))
    ]
    return torch.cat(parts)


def _scores(method: BatchEnsemble, learner: Learner, values: Tensors, inputs: Tensor) -> Tensor:
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    with torch.enable_grad(), _watched(method.layers, seen):
        # an input with a gradient, so that the first layer's outputs have one too
        logits = functional_call(method.network, values, (inputs.requires_grad_(),))
        loss = entropy(logits).sum()
        deltas = torch.autograd.grad(loss, [outputs for _, outputs in seen.values()])
    scores = inputs.new_zeros(len(inputs), len(learner.tasks))
    with torch.no_grad():
        for (layer, (before, _)), delta in zip(seen.items(), deltas, strict=True):
            module = method.layers[layer]
            weights = {name: learner.shared[f"{layer}.{name}"] for name in ("weight",)}
            if getattr(module, "bias", None) is not None:
                weights["bias"] = torch.zeros_like(learner.shared[f"{layer}.bias"])
            for place, task in enumerate(learner.tasks):
                r, s = (along_inputs(module, one) for one in method.ends(task.own, layer))
                through: Tensor = functional_call(module, weights, (before * r,))
                scores[:, place] -= (delta * s * through).flatten(1).sum(1)
    return scores


@contextmanager
def _watched(
    layers: dict[str, nn.Module], seen: dict[str, tuple[Tensor, Tensor]]
) -> Iterator[None]:
    """Record each layer's inputs and outputs while the network runs."""

    def keep(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_hook(
            lambda _module, given, out: seen.__setitem__(name, (given[0].detach(), out))
        )

    handles = [keep(name, module) for name, module in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
