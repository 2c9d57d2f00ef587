"""Learning one task's masks over the frozen network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from .masks import Masks, initial_scores, straight_through, threshold, write_supermask
from .negatives import make_warp, rejection
from .recipes import Recipe, optimiser
from .seeds import generator
from .superposition import masked_forward

_EVALUATION_IMAGES = 2048


@dataclass(frozen=True)
class Pixels:
    """Turn stored bytes into the network's input: (x / 255 − mean) / std per channel.

    Attributes:
        mean: (C, 1, 1) float32, of pixels scaled to 0…1.
        std: (C, 1, 1) float32.
    """

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise (…, C, H, W) uint8 to float32 of the same shape."""
        scaled = images.to(torch.float32)
        return scaled.mul_(1 / (255 * self.std)).sub_(self.mean / self.std)


@dataclass(frozen=True)
class LabelledImages:
    """Images of one split, whole on the device; batches are gathered there.

    Attributes:
        images: (N, C, H, W) uint8.
        targets: (N,) int64, the output that stands for each image's class.
    """

    images: Tensor
    targets: Tensor


def learn_masks(
    network: nn.Module,
    masked: tuple[str, ...],
    data: LabelledImages,
    pixels: Pixels,
    recipe: Recipe,
    *,
    seed: int,
    task: str,
    on_step: Callable[[int], None],
) -> Masks:
    """Learn one task's masks by cross-entropy over all outputs; the weights stay as they are.

    Wortsman et al. 2020, section 3.2, with the threshold of Piggyback. A recipe with negatives
    shows one beside every image, and asks for an even answer of the superfluous outputs.

    Args:
        network: frozen network, in evaluation mode.
        masked: names of the parameters that get a mask.
        data: training images on the network's device.
        pixels: how bytes become inputs.
        recipe: optimiser, schedule, steps, batch size.
        seed: of the scores and of the order of the images, together with `task`.
        task: name that sets the random streams of tasks apart.
        on_step: called after every step with the number of steps done.

    Returns:
        parameter name → bool of its shape, on the network's device.

    Raises:
        ValueError: there are no images, the loss is no longer finite, or a recipe with negatives
            finds no superfluous outputs.
    """
    if len(data.images) == 0:
        raise ValueError("no training images")
    device = data.images.device
    weights = {name: network.get_parameter(name) for name in masked}
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    drawn = initial_scores(shapes, seed=seed, task=task)
    scores = {name: score.to(device) for name, score in drawn.items()}
    effective = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    leaves = list(effective.values())
    rule, schedule = optimiser(recipe, scores.values())
    order = batches(len(data.images), recipe, generator(seed, "batches", task))
    height, width = data.images.shape[-2:]
    warp, fields = make_warp(height, width, device), generator(seed, "warps", task)
    outputs = data.targets.unique()
    for step, picked in enumerate(order, start=1):
        here = picked.to(device)
        rule.zero_grad()  # frees the last gradients before memory for new ones is needed
        write_supermask(effective, weights, scores)
        inputs, targets = pixels(data.images[here]), data.targets[here]
        if recipe.negatives:
            inputs = torch.cat((inputs, warp(inputs, recipe.negatives, fields)))
        logits = functional_call(network, effective, (inputs,))
        loss = _loss(recipe, logits * recipe.logit_scale, targets, outputs)
        straight_through(scores, weights, torch.autograd.grad(loss, leaves))
        rule.step()
        schedule.step()
        on_step(step)
    if not all(bool(score.isfinite().all()) for score in scores.values()):
        raise ValueError("learning diverged: scores are no longer finite")
    return threshold(scores)


def _loss(recipe: Recipe, logits: Tensor, targets: Tensor, outputs: Tensor) -> Tensor:
    """Add the losses of the task's images and of the negatives that follow them, if any do.

    Args:
        recipe: the weight of negatives.
        logits: (B, O) or (2 B, O) float32.
        targets: (B,) int64.
        outputs: (K,) int64, the task's own outputs.

    Returns:
        () float32, nats.
    """
    answers, refusals = logits[: len(targets)], logits[len(targets) :]
    loss = F.cross_entropy(answers, targets)
    if len(refusals):
        loss = loss + recipe.negatives_weight * rejection(refusals, outputs).mean()
    return loss


def batches(images: int, recipe: Recipe, stream: torch.Generator) -> Iterator[Tensor]:
    """Draw batches without replacement, a new order each time all images have been seen.

    Yields:
        `recipe.steps` times (recipe.batch_size,) int64 positions below `images`, on the CPU; an
        order that ends inside a batch is continued by the next one.
    """
    waiting = torch.empty(0, dtype=torch.int64)
    for _ in range(recipe.steps):
        passes = max(0, -((len(waiting) - recipe.batch_size) // images))
        orders = [torch.randperm(images, generator=stream) for _ in range(passes)]
        waiting = torch.cat((waiting, *orders))
        yield waiting[: recipe.batch_size]
        waiting = waiting[recipe.batch_size :]


def class_log_probabilities(
    network: nn.Module, masks: Masks, images: Tensor, pixels: Pixels, outputs: Tensor
) -> Tensor:
    """Classify images under one task's masks, among that task's own classes.

    Args:
        network: frozen network.
        masks: parameter name → float32 zeros and ones.
        images: (N, C, H, W) uint8 on the network's device.
        pixels: how bytes become inputs.
        outputs: (K,) int64, the output of each class.

    Returns:
        (N, K) float32 natural logarithms of probabilities.
    """
    parts = [
        masked_forward(network, masks, pixels(part))[:, outputs].log_softmax(-1)
        for part in images.split(_EVALUATION_IMAGES)
    ]
    return torch.cat(parts)
