"""Choose the masks worth trying: those that the signatures' scores leave in doubt."""

import torch
from torch import Tensor

# Probability, according to the scores, that the right task is left out.
LEFT_OUT = 1e-4
# Masks that are tried for one decision, unless asked otherwise.
MOST_TRIED = 64
# Over trained weights, where tasks are similar photos and the scores leave most in doubt.
FEW_TRIED = 8
# Weight of the mask's evidence against the signature's: of R, and of anything else. Measured. R at
# ½ names .847 of 36 rotations (`separable`), at 1 .860, while split MNIST and permutations hardly
# change; H on tasks of photos is best at ½.
_OF_ODDS, _OF_DOUBT = 1.0, 0.5
# Weight of the largest logit of a mask's own classes, over trained weights. It names the right one
# of 8 tasks for .774 of CIFAR-100's calibration images, and of 20 tasks for .634; a weight of 0.1
# for .766 and .642, none for .758 and .628. A larger weight favours easy tasks.
OF_STRENGTH = 0.3
# From a level of .9 to one standard deviation of a normal distribution.
_DEVIATIONS = 1.2816


def short_lists(scores: Tensor, most: int = MOST_TRIED) -> tuple[Tensor, Tensor]:
    """Choose the masks to try for each decision, the best first, until little doubt is left.

    Args:
        scores: (G, T) float32, nats; −∞ for tasks that are out of the race.
        most: tasks of a list.

    Returns:
        (G, T) bool, whether a task is on the list: the fewest that together have a probability of
        at least 1 − 10⁻⁴ under the softmax of the scores; (G,) bool, whether `most` cut it.
    """
    every = scores.double()
    best, order = every.sort(stable=True, dim=1, descending=True)
    ordered = (best - every.logsumexp(1, keepdim=True)).exp()
    before = ordered.cumsum(1) - ordered
    wanted = (before < 1 - LEFT_OUT) & (ordered > 0)
    truncated = wanted.sum(1) > most
    wanted[:, most:] = False
    chosen = torch.zeros(every.shape, dtype=torch.bool, device=every.device)
    return chosen.scatter(1, order, wanted), truncated


def evidence_scale(middle: float, beyond: float, *, odds: bool) -> float:
    """Compute the weight of a nat of misfit, so that it means the same for all masks.

    Images fit a task's mask worse than the task's own images by

        e = (misfit − q₀.₅) / s,   s = (q₀.₉ − q₀.₅) / 1.2816

    with quantiles of the task's own calibration images.

    Args:
        middle: the median of the task's own.
        beyond: their quantile at .9.
        odds: whether misfits are log-odds, R; these weigh 1, others ½.

    Returns:
        1 / s or ½ / s: times misfit − q₀.₅, the nats to be taken from the signature's score.
    """
    deviation = max((beyond - middle) / _DEVIATIONS, 1e-3)
    return (_OF_ODDS if odds else _OF_DOUBT) / deviation
