"""Combine earlier tasks' masks into a new one: only a few coefficients are learned."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.bn_recalibration import recalibrated_statistics, sample_batches
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.masks.density import mask_values
from supsup_cli.core.masks.masks import Masks, MaskStack
from supsup_cli.core.networks.normalisation import blank_statistics, forward_on_batch
from supsup_cli.core.seeds import generator

from .transfer import fit_loss

# First coefficients: of the best fitting parent, which decides alone at first, and of the others.
_BEST, _OTHERS = 1.0, 0.2
_RATE = 0.02


@dataclass(frozen=True)
class Coefficients:
    """How K masks are combined: a weight is kept if Σₖ aₖ (2 Mₖ − 1) > b.

    Attributes:
        values: parameter name → (K + 1,) float32 on the CPU: a₁ … a_K, then b.
    """

    values: Masks

    def masks(self, votes: Masks) -> Masks:
        """Combine masks: parameter name → bool of its shape.

        Args:
            votes: parameter name → (K, *shape) float32, +1 where a mask keeps the weight, else −1.
        """
        return {
            name: torch.tensordot(one[:-1].to(votes[name]), votes[name], 1) > one[-1]
            for name, one in self.values.items()
        }


def learn_coefficients(
    network: nn.Module,
    parents: MaskStack,
    data: LabelledImages,
    pixels: Pixels,
    recipe: Recipe,
    *,
    seed: int,
    task: str,
    on_step: Callable[[int], None],
) -> Coefficients:
    """Learn how to combine masks, layer by layer.

    The masks themselves do not change. Gradients pass straight through the threshold:
    ∂L/∂aₖ = Σₚ ∂L/∂Mₚ (2 Mₖₚ − 1). Learning starts from the first parent's mask alone.

    Args:
        network: frozen network, in evaluation mode.
        parents: K packed masks, the best fitting first.
        data: training images on the network's device.
        pixels: turns bytes into inputs.
        recipe: steps, batch size, scale of the logits, and whether masks are sparse.
        seed: of the order of the images, together with `task`.
        task: name, which keeps the random streams of tasks apart.
        on_step: called after every step with the number of steps done.

    Returns:
        the combination, or only the first parent if that fits no worse.
    """
    kept = [MaskStack(parents.packed, parents.layout).masks(row) for row in range(len(parents))]
    votes = {name: torch.stack([mask[name] for mask in kept]) * 2 - 1 for name in kept[0]}
    sparse = recipe.density is not None
    weights = {name: network.get_parameter(name) for name in votes}
    start = torch.tensor([_BEST, *[_OTHERS] * (len(parents) - 1), 0.0])
    leaves = {name: start.clone().to(data.device).requires_grad_() for name in votes}
    rule = Adam(leaves.values(), lr=_RATE)
    schedule = OneCycleLR(rule, max_lr=_RATE, total_steps=recipe.steps)
    scratch = blank_statistics(network, data.device)
    stream = generator(seed, "combination", task)
    order = BatchOrder(len(data), recipe.batch_size, stream)
    for step in range(1, recipe.steps + 1):
        here = order.next_batch().to(data.device)
        masks = Coefficients({name: leaf.detach() for name, leaf in leaves.items()}).masks(votes)
        values = mask_values(masks, sparse=sparse)
        effective = {name: (weights[name] * values[name]).requires_grad_() for name in votes}
        logits = forward_on_batch(network, effective, scratch, pixels(data.take(here)))
        loss = F.cross_entropy(logits * recipe.logit_scale, data.targets[here])
        gradients = torch.autograd.grad(loss, list(effective.values()))
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
            each = (gradient * weights[name]).flatten()
            by_parent = votes[name].flatten(1) @ each
            leaf.grad = torch.cat((by_parent, -each.sum()[None]))
        rule.step()
        schedule.step()
        on_step(step)
    learned = Coefficients({name: leaf.detach().cpu() for name, leaf in leaves.items()})
    alone = Coefficients({name: (start > _OTHERS).to(start) for name in votes})
    tried = []
    for one in (alone, learned):
        values = mask_values(one.masks(votes), sparse=sparse)
        draw = generator(seed, "statistics", task)
        sample = sample_batches(data, pixels, recipe.batch_size, draw)
        values |= recalibrated_statistics(network, values, sample)
        tried.append(float(fit_loss(network, values, data, pixels)))
    return learned if tried[1] < tried[0] else alone
