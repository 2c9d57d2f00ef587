"""Measures of a matrix of accuracies: R[i, j] is the accuracy on task j after learning task i.

Entries above the diagonal, of tasks not learned yet, may be missing (NaN).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

# What each measure means; i and j count from 1 to T.
DEFINITIONS = {
    "accuracy": "Last: mean over j of R[T, j]",
    "accuracy_over_time": "AIA: mean over i of the mean over j ≤ i of R[i, j]",
    "forgetting": "mean over j < T of (max over j ≤ i < T of R[i, j]) − R[T, j] "
    "(Chaudhry et al. 2018)",
    "forgetting_since_learned": "mean over j < T of R[j, j] − R[T, j] (Avalanche)",
    "backward_transfer": "mean over j < T of R[T, j] − R[j, j] (Lopez-Paz & Ranzato 2017)",
    "forward_transfer": "mean over j > 1 of R[j − 1, j] − chance(j); null where a method has no "
    "answer for a task before it is learned (Lopez-Paz & Ranzato 2017)",
}


@dataclass(frozen=True)
class Measures:
    """The measures of `DEFINITIONS`, as shares; None if there are too few tasks for one."""

    accuracy: float
    accuracy_over_time: float
    forgetting: float | None
    forgetting_since_learned: float | None
    backward_transfer: float | None
    forward_transfer: float | None


def measures(matrix: Matrix, chances: NDArray[np.float64]) -> Measures:
    """Compute the measures of a matrix.

    Args:
        matrix: (T, T) float64, R; shares from 0 to 1.
        chances: (T,) float64, accuracy of a guess on each task: 1 / classes.

    Raises:
        ValueError: R[i, j] is missing for a learned task j ≤ i, or there is no task.
    """
    tasks = len(matrix)
    learned = np.tril(np.ones((tasks, tasks), dtype=np.bool_))
    if tasks == 0 or bool(np.isnan(matrix[learned]).any()):
        raise ValueError("an accuracy of a learned task is missing")
    last, diagonal = matrix[-1], matrix.diagonal()
    over_time = [matrix[place, : place + 1].mean() for place in range(tasks)]
    if tasks == 1:
        return Measures(float(last.mean()), float(np.mean(over_time)), None, None, None, None)
    best = np.where(learned, matrix, -np.inf)[:-1].max(0)[:-1]
    since = float((diagonal[:-1] - last[:-1]).mean())
    ahead = matrix.diagonal(1) - chances[1:]
    return Measures(
        accuracy=float(last.mean()),
        accuracy_over_time=float(np.mean(over_time)),
        forgetting=float((best - last[:-1]).mean()),
        forgetting_since_learned=since,
        backward_transfer=-since,
        forward_transfer=None if bool(np.isnan(ahead).any()) else float(ahead.mean()),
    )
