"""Make images of none of a task's classes from the task's own images, and learn from them.

Tasks with similar inputs are told apart by what a mask answers to images it has never seen. The
task's own images, displaced until no class is left, take the place of those.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_CONTROL_POINTS = 5


@dataclass(frozen=True)
class Warp:
    """Displace an image's content by a smooth random field.

    Simard et al. 2003, section 2, displace a little and keep the label. A large displacement
    destroys the class but keeps the task's strokes, edges and grey values.

    Attributes:
        rows: (H, 5) float32, weights of the field's control points for each row of pixels.
        columns: (W, 5) float32, the same for each column.
    """

    rows: Tensor
    columns: Tensor

    def __call__(self, images: Tensor, displacement: float, stream: torch.Generator) -> Tensor:
        """Warp every image by its own field.

        Args:
            images: (B, C, H, W) float32.
            displacement: standard deviation of the 5 x 5 control points' displacements, as a share
                of the image's side; between them the field is bicubic.
            stream: CPU generator of the fields, so that every device draws the same.

        Returns:
            (B, C, H, W) float32, each pixel copied from its image, because blur would mark warped
            images. Beyond its edge an image repeats its outermost pixels.
        """
        size = (len(images), 2, _CONTROL_POINTS, _CONTROL_POINTS)
        # grid_sample's coordinates run from −1 to 1, so a share of the side counts twice.
        points = torch.randn(size, generator=stream).mul_(2 * displacement).to(images.device)
        field = self.rows @ points @ self.columns.T
        across = _clamped(field[:, 0] + _middles(self.columns))
        down = _clamped(field[:, 1] + _middles(self.rows)[:, None], dim=-2)
        places = torch.stack((across, down), dim=-1)
        return F.grid_sample(images, places, mode="nearest", align_corners=False)


def make_warp(height: int, width: int, device: torch.device) -> Warp:
    """Prepare warps of height x width images on a device."""
    return Warp(_bicubic(height).to(device), _bicubic(width).to(device))


def loss_with_negatives(logits: Tensor, targets: Tensor, outputs: Tensor, weight: float) -> Tensor:
    """Add the losses of a task's images and of the negatives that follow them, if any.

    Args:
        logits: (B, O) or (2 B, O) float32.
        targets: (B,) int64.
        outputs: (K,) int64, the task's own outputs.
        weight: factor on the mean loss of negatives.

    Returns:
        () float32, nats.

    Raises:
        ValueError: there are negatives, but no superfluous outputs.
    """
    if len(logits) == len(targets):
        return F.cross_entropy(logits, targets)
    answers, refusals = logits[: len(targets)], logits[len(targets) :]
    return F.cross_entropy(answers, targets) + weight * rejection(refusals, outputs).mean()


def rejection(logits: Tensor, outputs: Tensor) -> Tensor:
    """Cross-entropy of negatives against an even answer of all superfluous outputs.

    The target is an even answer instead of one extra output, so that foreign images have a high
    entropy; H then ranks masks as well as R. The least possible value is log(O − K).

    Args:
        logits: (B, O) float32.
        outputs: (K,) int64, the task's own outputs; the O − K others are superfluous for it.

    Returns:
        (B,) float32, nats.

    Raises:
        ValueError: no output is superfluous.
    """
    superfluous = logits.shape[-1] - len(outputs)
    if superfluous == 0:
        raise ValueError("no superfluous outputs to give negatives to")
    log_p = logits.log_softmax(-1)
    return (log_p[:, outputs].sum(-1) - log_p.sum(-1)) / superfluous


def _bicubic(pixels: int) -> Tensor:
    points = torch.eye(_CONTROL_POINTS)[None, :, :, None]
    weights = F.interpolate(points, size=(pixels, 1), mode="bicubic", align_corners=False)
    return weights[0, :, :, 0].T.contiguous()


def _middles(weights: Tensor) -> Tensor:
    """Compute the middle of each pixel along one side in grid_sample's coordinates."""
    count = len(weights)
    return (torch.arange(count, device=weights.device) * 2 + 1) / count - 1


def _clamped(places: Tensor, dim: int = -1) -> Tensor:
    """Clamp places to the outermost pixels' middles; not every device pads by the border."""
    edge = 1 - 1 / places.shape[dim]
    return places.clamp_(-edge, edge)
