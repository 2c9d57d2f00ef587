"""Signatures over trained weights: one covariance from all tasks, and its effect on features."""

import torch

from supsup_cli.core.signatures.features import roots
from supsup_cli.core.signatures.pooled import by_means, pooled_covariance, whitening
from supsup_cli.core.signatures.table import TaskSignature

SIZE = 12


def _signature(seed: int, noise: float) -> TaskSignature:
    """Draw a task of two classes, the second with one direction instead of two."""
    stream = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(2, SIZE, 2, generator=stream))[0].transpose(1, 2)
    variances = torch.tensor([[5.0, 2.0], [3.0, 0.0]])
    directions[1, 1] = 0
    means = torch.randn(2, SIZE, generator=stream)
    shares = torch.tensor([0.25, 0.75])
    return TaskSignature(means, directions, variances, shares, noise, torch.empty(0))


def _covariance(one: TaskSignature) -> torch.Tensor:
    """Write a task's covariance out, component by component."""
    total = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    for share, axes, spread in zip(one.shares, one.directions, one.variances, strict=True):
        own = one.noise * torch.eye(SIZE, dtype=torch.float64)
        for axis, variance in zip(axes.double(), spread.double(), strict=True):
            if variance > 0:
                own += (variance - one.noise) * torch.outer(axis, axis)
        total += share * own
    return total


def test_the_covariance_is_the_mean_of_all_tasks() -> None:
    tasks = [_signature(1, 0.5), _signature(2, 0.25)]
    expected = (_covariance(tasks[0]) + _covariance(tasks[1])) / 2
    found = pooled_covariance(tasks)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    turn = whitening(found).double()
    one = torch.eye(SIZE, dtype=torch.float64)
    torch.testing.assert_close(turn.T @ found @ turn, one, rtol=1e-5, atol=1e-5)


def test_distances_there_are_mahalanobis_of_the_class_means() -> None:
    task = _signature(3, 0.5)
    covariance = pooled_covariance([task])
    turn = whitening(covariance)
    features = torch.randn(5, SIZE, generator=torch.Generator().manual_seed(4))
    apart = (features - task.means[:, None]).double()
    squares = torch.einsum("mbi,ij,mbj->mb", apart, covariance.inverse(), apart)
    expected = -2 * (task.shares.log()[:, None] - squares / 2).logsumexp(0)
    found = by_means(task, turn).distances(features @ turn, 1.0).double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_roots_keep_their_sign() -> None:
    assert roots(torch.tensor([-4.0, 0.0, 9.0])).tolist() == [-2.0, 0.0, 3.0]
