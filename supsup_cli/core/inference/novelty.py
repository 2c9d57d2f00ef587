"""Is this a known task? How well a task's own images fit its mask, and when others fit too badly.

An image is judged under the mask that fits it best, against quantiles of that task's own
calibration images. Nothing is known about strangers, so only false alarms can be bounded. Their
share is chosen, and rises with the number of tasks, because every further mask may fit a stranger's
image by accident.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from supsup_cli.core.images import Pixels
from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.masks.superposition import entropy, images_at_once, log_odds
from supsup_cli.core.networks.traits import TypicalTraits

from .single_mask import forward_alone

# The misfit grows if a mask fits badly. Thresholds are in the upper tail, so its levels are finer.
CALIBRATION_LEVELS = (
    *(0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98),
    *(0.99, 0.995, 0.996, 0.997, 0.998, 0.999, 1.0),
)
# Names of misfits in task files; the last two are in files of older versions.
DAMPED_LOG_ODDS = "R-damped"
DOUBT_AND_TRAITS = "H-traits"
_LOG_ODDS = "R"
DOUBT = "H"
ODDS = (DAMPED_LOG_ODDS, _LOG_ODDS)
MISFITS = (DAMPED_LOG_ODDS, DOUBT, DOUBT_AND_TRAITS, _LOG_ODDS)  # as FORMAT.md lists them
# Also the distance of features from a task's signature, which is not a misfit of a mask.
SIGNATURE = "Q"
APPEARANCE = "look"  # and how odd an image looks for the task

_IMAGES_AT_ONCE = 2048
# False alarms at one task and at most; in between their share rises with √T. Measured on
# PermutedMNIST: at 50 tasks 0.31 % of known test images, and 0.12 % of strangers' are missed.
_ONE_TASK_SHARE = 0.0005
_SHARES = (0.001, 0.004)
# False alarms for the looks of an image alone, however many tasks there are: these belong to the
# image, not to a mask that may fit by accident. Measured on photos: .004 of a task's test images.
_ODD_SHARE = 0.005
# A quantile is read only if this many calibration images lie beyond it, else extrapolated.
_IMAGES_BEYOND = 5
_TAIL_RATIO = 4
# A group is new only if its median image fits worse than this share of the task's own, because
# images of the task's hardest class must not be called new.
_LEAST_GROUP_LEVEL = 0.8


@dataclass(frozen=True)
class Calibration:
    """Quantiles of a task's misfit on its own images that it has not learned from.

    Attributes:
        misfit: name of the score.
        images: number of images it was measured on.
        levels: ascending, each in 0…1.
        values: misfit at each level, nats, ascending.
    """

    misfit: str
    images: int
    levels: tuple[float, ...]
    values: tuple[float, ...]

    def quantile(self, level: float) -> float:
        """Interpolate the misfit at a level; beyond the outermost levels it stays."""
        beyond = bisect_right(self.levels, level)
        if beyond in (0, len(self.levels)):
            return self.values[min(beyond, len(self.levels) - 1)]
        low, high = self.levels[beyond - 1], self.levels[beyond]
        below, above = self.values[beyond - 1], self.values[beyond]
        return below + (above - below) * (level - low) / (high - low)


def damped_log_odds(logits: Tensor, own: Tensor, images: Tensor) -> Tensor:
    """R of logits that are divided by the image's energy where that exceeds one: (B,), nats.

    The logits of a net of ReLUs without biases grow in proportion to its input, so an image of
    unusual energy, such as an inverted one, makes every mask look sure. Normalised images have an
    energy, the root mean square of their pixels, of about one.

    Args:
        logits: (B, O) float32.
        own: (O,) bool, the task's own outputs.
        images: (B, *input_shape) float32, normalised.
    """
    return log_odds(logits / damping(images)[:, None], own)


def damping(images: Tensor) -> Tensor:
    """Compute the divisor of logits: images (B, *input_shape) float32 → (B,) float32, ≥ 1."""
    return images.flatten(1).square().mean(1).sqrt().clamp_min(1)


def run_mask(
    network: nn.Module,
    masks: Masks,
    images: Tensor,
    pixels: Pixels,
    outputs: Tensor,
    misfit: str = DAMPED_LOG_ODDS,
    typical: TypicalTraits | None = None,
) -> tuple[Tensor, Tensor]:
    """Run one task's mask on images, each alone: how badly they fit it, and their class.

    Args:
        network: frozen network.
        masks: parameter name → float32 zeros and ones.
        images: (N, C, H, W) uint8 on the network's device.
        pixels: how bytes become inputs.
        outputs: (K,) int64, the task's own outputs; fewer than all for `DAMPED_LOG_ODDS` and "R".
        misfit: `DAMPED_LOG_ODDS`; `DOUBT`, the entropy; `DOUBT_AND_TRAITS` or "R" for tasks that
            were calibrated so.
        typical: the task's, for `DOUBT_AND_TRAITS`.

    Returns:
        (N,) float64 on the CPU, nats; (N, K) float32, natural logarithms of the probabilities of
        the task's classes.
    """
    values = [torch.empty(0, dtype=torch.float64)]
    classes = [torch.empty(0, len(outputs), device=images.device)]
    for part in images.split(images_at_once(images, _IMAGES_AT_ONCE)):
        inputs = pixels(part)
        told = typical if misfit == DOUBT_AND_TRAITS else None
        logits, unusualness = forward_alone(network, masks, inputs, told)
        found, log_p = judge_logits(logits, damping(inputs), outputs, misfit)
        values.append((found + unusualness if misfit == DOUBT_AND_TRAITS else found).double().cpu())
        classes.append(log_p)
    return torch.cat(values), torch.cat(classes)


def judge_logits(
    logits: Tensor, divisors: Tensor, outputs: Tensor, misfit: str
) -> tuple[Tensor, Tensor]:
    """Compute from a mask's logits how badly images fit it, and their classes; see `run_mask`.

    Args:
        logits: (B, O) float32.
        divisors: (B,) float32, see `damping`.
        outputs: (K,) int64, the task's own.
        misfit: of `MISFITS`; of `DOUBT_AND_TRAITS` the doubt alone.

    Returns:
        (B,) float32 nats; (B, K) float32, natural logarithms of probabilities.
    """
    log_p = logits[:, outputs].log_softmax(-1)
    if misfit in (DOUBT, DOUBT_AND_TRAITS):
        return entropy(logits), log_p
    own = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    own[outputs] = True
    return log_odds(logits if misfit == _LOG_ODDS else logits / divisors[:, None], own), log_p


def calibration_quantiles(
    network: nn.Module,
    masks: Masks,
    images: Tensor,
    pixels: Pixels,
    outputs: Tensor,
    misfit: str = DAMPED_LOG_ODDS,
) -> Tensor:
    """Measure the misfit of a task's mask on its images that it has not learned from.

    Args and shapes are those of `run_mask`, with N ≥ 1; `DOUBT_AND_TRAITS` is no misfit here.

    Returns:
        (17,) float64 on the CPU, nats: the misfit at `CALIBRATION_LEVELS`, ascending.
    """
    levels = torch.tensor(CALIBRATION_LEVELS, dtype=torch.float64)
    found, _ = run_mask(network, masks, images, pixels, outputs, misfit)
    return torch.quantile(found, levels)


def false_alarm_share(tasks: int) -> float:
    """Choose the share of known images that may be called new: .001 up to 4 tasks, .004 from 64.

    Args:
        tasks: T ≥ 1, the number of tasks that compete.
    """
    low, high = _SHARES
    return min(high, max(low, _ONE_TASK_SHARE * math.sqrt(tasks)))


@cache
def group_level(images: int, share: float) -> float:
    """Find the level that most of n own images exceed together with probability `share`.

    P(Binomial(n, 1 − level) > n / 2) = share; 1 − share for one image, never below 0.8.

    Args:
        images: n ≥ 1, the number decided together.
        share: of false alarms.
    """
    beyond, all_beyond = 0.0, 1 - _LEAST_GROUP_LEVEL
    if _majority(images, all_beyond) <= share:
        return _LEAST_GROUP_LEVEL
    for _ in range(50):
        middle = (beyond + all_beyond) / 2
        if _majority(images, middle) < share:
            beyond = middle
        else:
            all_beyond = middle
    return 1 - beyond


def novelty_threshold(
    calibration: Calibration | None, tasks: int, images: int = 1, witnesses: int = 1
) -> float:
    """Compute the misfit above which an image, or the median image of a group, is new.

    If fewer than five calibration images lie beyond the required level, the tail is continued as an
    exponential one with a scale from the stored quantiles, so a task with few images has a wide
    threshold. With fewer than 20 images there is no tail to read.

    Args:
        calibration: of the task that fits best; None if it has none.
        tasks: T, the number of tasks that compete.
        images: number of images decided together.
        witnesses: thresholds that a decision must pass; each causes its part of the alarms.

    Returns:
        nats; infinity where nothing may be called new, because the task has no calibration, one
        of fewer than 20 images, or a misfit that is not known here.
    """
    if calibration is None or calibration.misfit not in (*MISFITS, SIGNATURE, APPEARANCE):
        return math.inf
    if calibration.images < _IMAGES_BEYOND * _TAIL_RATIO:
        return math.inf
    share = false_alarm_share(tasks) / witnesses
    if calibration.misfit == APPEARANCE:
        share = _ODD_SHARE
    beyond = 1 - group_level(images, share)
    read = max(beyond, _IMAGES_BEYOND / calibration.images)
    inner = calibration.quantile(1 - min(1.0, _TAIL_RATIO * read))
    outer = calibration.quantile(1 - read)
    scale = (outer - inner) / math.log(_TAIL_RATIO)
    return float(outer + scale * math.log(read / beyond))


def _majority(images: int, beyond: float) -> float:
    """Sum the probabilities of Binomial(n, beyond) above n / 2."""
    logs = (
        math.lgamma(images + 1) - math.lgamma(k + 1) - math.lgamma(images - k + 1)
        + k * math.log(beyond) + (images - k) * math.log1p(-beyond)
        for k in range(images // 2 + 1, images + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))
