"""Run one mask: how badly does an image fit it?"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call

from supsup_cli.core.masks.superposition import (
    Objective,
    effective_weights,
    entropy,
    masked_forward,
    misfit,
)
from supsup_cli.core.networks.normalisation import normalising_layers
from supsup_cli.core.networks.traits import (
    LAYER_TRAITS,
    TypicalTraits,
    image_traits,
    unknown_unusualness,
)


def single_mask_misfit(
    network: nn.Module,
    masks: Mapping[str, Tensor],
    images: Tensor,
    objective: Objective,
    own: Tensor,
    typical: TypicalTraits | None,
) -> Tensor:
    """Judge one mask by its outputs, and if the network normalises also by its inner values.

    misfit(objective) + 3 ln(1 + D² / d) there, see `TypicalTraits.unusualness`; misfit(objective)
    elsewhere.

    Args:
        network: frozen network that all masks share.
        masks: the task's, parameter name → float32, with its statistics.
        images: (B, *input_shape), float32, normalised; each is judged by itself.
        objective: H, G or R.
        own: (O,) bool, the task's own outputs.
        typical: the task's; None if they are not known.

    Returns:
        (B,) float32, nats; smaller is better.
    """
    logits, unusualness = forward_alone(network, masks, images, typical)
    return misfit(objective, logits, own) + unusualness


def forward_alone(
    network: nn.Module,
    masks: Mapping[str, Tensor],
    images: Tensor,
    typical: TypicalTraits | None,
) -> tuple[Tensor, Tensor]:
    """Run one task's mask, and measure how unusual each image is for the task.

    Args:
        network: frozen network that all masks share.
        masks: the task's, parameter name → float32, with its statistics.
        images: (B, *input_shape), float32, normalised.
        typical: the task's; None if they are not known.

    Returns:
        (B, O) float32 logits; (B,) float32 unusualness, nats: zero on a network that does not
        normalise, and that of D² = d where nothing is known.
    """
    if not normalising_layers(network):
        return masked_forward(network, masks, images), images.new_zeros(len(images))
    if typical is None:
        unknown = images.new_full((len(images),), unknown_unusualness())
        return masked_forward(network, masks, images), unknown
    logits, traits = forward_with_traits(network, masks, images)
    return logits, typical.unusualness(traits)


def forward_with_traits(
    network: nn.Module, masks: Mapping[str, Tensor], images: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a network that normalises, and compute each image's traits under the mask.

    Each normalisation writes what it sees into a tensor that stands in for its buffer `seen`.

    Args:
        network: frozen network, with `Normalisation` layers.
        masks: parameter name → float32; buffer name → the task's statistics.
        images: (B, *input_shape), float32, normalised.

    Returns:
        (B, O) float32 logits, (B, d) float32 traits; see `image_traits`.
    """
    seen = {
        f"{name}.seen" if name else "seen": images.new_empty(LAYER_TRAITS, len(images))
        for name in normalising_layers(network)
    }
    values = effective_weights(network, masks) | seen
    logits: Tensor = functional_call(network, values, (images,))
    return logits, image_traits(list(seen.values()), entropy(logits))
