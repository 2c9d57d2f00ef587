"""All tasks' signatures at once: distances as defined, and a cascade that loses nothing."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from supsup_cli.core.signatures import looks
from supsup_cli.core.signatures.looks import (
    CoarseSignatures,
    compiled_looks,
    near_tasks,
    plain_near_tasks,
)
from supsup_cli.core.signatures.table import (
    SignatureTable,
    TaskSignature,
    fit_score,
)

SIZE = 24


def _signature(seed: int, classes: int = 3, directions: int = 4, apart: float = 3) -> TaskSignature:
    stream = torch.Generator().manual_seed(seed)
    axes = torch.randn(classes, SIZE, directions, generator=stream)
    return TaskSignature(
        means=apart * torch.randn(classes, SIZE, generator=stream),
        directions=torch.linalg.qr(axes).Q.transpose(1, 2).contiguous(),
        variances=5 * torch.rand(classes, directions, generator=stream) + 1,
        shares=torch.rand(classes, generator=stream).softmax(0),
        noise=0.5 + float(torch.rand((), generator=stream)) / 2,
        quantiles=torch.empty(0, dtype=torch.float64),
    )


def _table(tasks: list[TaskSignature | None]) -> SignatureTable:
    signed = [one for one in tasks if one is not None]
    counts = [0 if one is None else len(one.means) for one in tasks]
    coarse = CoarseSignatures.of(
        torch.cat([one.means for one in signed]),
        torch.cat([one.shares for one in signed]),
        torch.tensor(np.cumsum([0, *counts])),
        torch.stack([one.within() for one in signed]).mean(0),
        float(np.mean([one.noise for one in signed])),
    )
    return SignatureTable(coarse, tasks.__getitem__)


def _scores(table: SignatureTable, features: Tensor) -> Tensor:
    """Return the scores of all tasks, −∞ if one was not compared: (G, T)."""
    found = table.candidates(features)
    scores = torch.full((len(features), len(table)), -torch.inf)
    groups, columns = (found.tasks >= 0).nonzero(as_tuple=True)
    scores[groups, found.tasks[groups, columns]] = found.scores[groups, columns].float()
    return scores


def _images_of(tasks: list[TaskSignature | None], wanted: list[int]) -> Tensor:
    """Draw an image from a component of each: (G, 1, D)."""
    stream = torch.Generator().manual_seed(9)
    drawn = []
    for index in wanted:
        task = tasks[index]
        assert task is not None
        along = (
            torch.randn(task.variances.shape[1], generator=stream)
            * (task.variances[0] - task.noise).sqrt()
        )
        noise = torch.randn(SIZE, generator=stream) * math.sqrt(task.noise)
        drawn.append(task.means[0] + along @ task.directions[0] + noise)
    return torch.stack(drawn)[:, None]


def _reference(task: TaskSignature, features: Tensor, noise: float) -> list[float]:
    """−2 ln of the mixture over that of noise alone, from full covariance matrices."""
    found = []
    for image in features.double().numpy():
        terms = []
        for mean, axes, widths, share in zip(
            *(one.double().numpy() for one in (task.means, task.directions)),
            *(one.double().numpy() for one in (task.variances, task.shares)),
            strict=True,
        ):
            covariance = noise * np.eye(SIZE) + axes.T @ np.diag(widths - noise) @ axes
            away = image - mean
            squared = away @ np.linalg.solve(covariance, away)
            stretch = np.linalg.slogdet(covariance)[1] - SIZE * math.log(noise)
            terms.append(math.log(share) - (squared + stretch) / 2)
        found.append(max(0.0, -2 * float(np.logaddexp.reduce(terms))))
    return found


def test_distances_are_those_of_the_covariances_in_full() -> None:
    task = _signature(0)
    near = _images_of([task], [0] * 6)[:, 0]
    features = torch.cat((near, 10 * torch.randn(6, SIZE, generator=torch.Generator())))
    for noise in (0.2, 0.9):
        expected = torch.tensor(_reference(task, features, noise), dtype=torch.float32)
        torch.testing.assert_close(task.distances(features, noise), expected, rtol=1e-4, atol=1e-2)


def test_a_direction_narrower_than_the_noise_counts_as_noise() -> None:
    task = _signature(1)
    narrow = TaskSignature(
        task.means, task.directions, task.variances / 100, task.shares, 1.0, task.quantiles
    )
    none = TaskSignature(
        task.means, task.directions * 0, task.variances * 0, task.shares, 1.0, task.quantiles
    )
    features = torch.randn(5, SIZE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(narrow.distances(features, 1.0), none.distances(features, 1.0))


def test_an_image_of_the_task_itself_has_the_distance_that_is_told() -> None:
    task = _signature(2, classes=1, apart=8)
    found = task.distances(_images_of([task], [0] * 3000)[:, 0], task.noise)
    assert float(found.mean()) == pytest.approx(task.own_distance(), rel=0.02)
    assert task.own_distance() > SIZE + 1


def test_the_fit_score_is_student_s() -> None:
    assert fit_score(torch.tensor([0.0, 10.0, 30.0]), 10).tolist() == pytest.approx(
        [0.0, -20 * math.log(2), -20 * math.log(4)]
    )


def test_few_tasks_are_all_scored_in_full_and_groups_are_sums() -> None:
    tasks: list[TaskSignature | None] = [_signature(seed) for seed in range(9)]
    tasks[4] = None
    table = _table(tasks)
    singles = _images_of(tasks, [0, 0, 3, 3, 8, 8])
    scores = _scores(table, singles)
    for index, task in enumerate(tasks):
        if task is None:
            assert bool(scores[:, index].isneginf().all())
            continue
        own = fit_score(task.distances(singles[:, 0], table.coarse.noise), SIZE)
        torch.testing.assert_close(scores[:, index], own)
    groups = _scores(table, singles.reshape(3, 2, SIZE))
    torch.testing.assert_close(groups, scores.reshape(3, 2, 9).sum(1))
    assert groups.argmax(1).tolist() == [0, 3, 8]


@pytest.mark.parametrize("count", [65, 200, 700])  # one coarse look before the whole, and two
def test_the_cascade_finds_what_all_signatures_in_full_find(count: int, ways: str) -> None:
    tasks: list[TaskSignature | None] = [_signature(seed) for seed in range(count)]
    for gone in range(5, count, 11):
        tasks[gone] = None
    signed = [index for index, one in enumerate(tasks) if one is not None]
    table = _table(tasks)
    wanted = signed[:: max(1, len(signed) // 60)]
    features = _images_of(tasks, wanted)
    scores = _scores(table, features)
    full = torch.full((len(wanted), count), -torch.inf)
    for index in signed:
        task = tasks[index]
        assert task is not None
        full[:, index] = fit_score(task.distances(features[:, 0], table.coarse.noise), SIZE)
    assert scores.argmax(1).tolist() == full.argmax(1).tolist() == wanted
    told = scores.isfinite()
    torch.testing.assert_close(scores[told], full[told], rtol=1e-4, atol=1e-4)
    assert int(told.sum(1).max()) <= 64
    # What was left out has next to no probability.
    assert float(full.softmax(1)[~told].sum()) < 1e-3 * len(wanted)
    assert not bool(told[:, [index for index in range(count) if tasks[index] is None]].any())


def test_one_whose_file_is_gone_meanwhile_is_left_out() -> None:
    tasks: list[TaskSignature | None] = [_signature(seed) for seed in range(4)]
    table = SignatureTable(_table(tasks).coarse, lambda index: None if index == 2 else tasks[index])
    scores = _scores(table, _images_of(tasks, [2]))
    assert scores[0].isneginf().tolist() == [False, False, True, False]


def test_an_image_s_scores_do_not_depend_on_its_neighbours() -> None:
    tasks: list[TaskSignature | None] = [_signature(seed) for seed in range(300)]
    table = _table(tasks)
    features = _images_of(tasks, list(range(0, 300, 10)))
    together = _scores(table, features)
    for place in (0, 17, 29):
        alone = _scores(table, features[place : place + 1])[0]
        assert torch.equal(alone.isfinite(), together[place].isfinite())
        torch.testing.assert_close(alone, together[place], rtol=1e-5, atol=1e-4)


@pytest.fixture(params=["plain", "compiled"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Compare signatures in plain PyTorch, and by compiled loops even for few of them."""
    monkeypatch.setattr(looks, "_WORTH_COMPILED", 0 if request.param == "compiled" else math.inf)
    return str(request.param)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("most", [(256, 64), (40, 7), (500, 64)])
def test_compiled_loops_find_what_plain_products_find(
    images: int, most: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_WORTH_COMPILED", 0)
    monkeypatch.setattr(looks, "_MOST", most)
    tasks: list[TaskSignature | None] = [_signature(seed, apart=1.5) for seed in range(300)]
    for gone in range(4, 300, 7):
        tasks[gone] = None
    coarse = _table(tasks).coarse
    assert compiled_looks(coarse) is not None
    stream = torch.Generator().manual_seed(2)
    features = 2 * torch.randn(50, images, SIZE, generator=stream)
    found = near_tasks(coarse, features, 40, compiled_looks(coarse))
    assert torch.equal(found, plain_near_tasks(coarse, features, 40))
    counts = set((found >= 0).sum(1).tolist())
    assert 1 <= min(counts) < max(counts) <= most[1]


def test_equals_beyond_the_most_are_left_out_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "_WORTH_COMPILED", 0)
    coarse = _table([_signature(0)] * 90).coarse
    features = torch.randn(2, 1, SIZE, generator=torch.Generator().manual_seed(3))
    found = near_tasks(coarse, features, 40, compiled_looks(coarse))
    assert found.tolist() == [list(range(64))] * 2
    # A library's product may add up the last of equal columns in another order.
    plain = plain_near_tasks(coarse, features, 40)
    assert plain.shape == found.shape
    assert bool((plain.diff(dim=1) > 0).all())
    assert looks._best(torch.zeros(2, 90), 64).nonzero()[:, 1].tolist() == [*range(64)] * 2


def test_whole_signatures_by_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[TaskSignature | None] = [_signature(seed) for seed in range(5)]
    tasks.append(_signature(6, classes=1, directions=0))
    features = torch.cat((_images_of(tasks, [0, 3])[:, 0], 9 * torch.randn(4, SIZE)))
    places = np.array([5, 0, 1, 1])
    monkeypatch.setattr(looks, "_WORTH_COMPILED", 0)
    table = _table(tasks)
    for task in tasks:
        assert task is not None
        found = torch.from_numpy(table.distances(task, features, places, 0.7))
        torch.testing.assert_close(found, task.distances(features[places], 0.7))


def test_by_compiled_loops_no_bit_depends_on_the_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "_WORTH_COMPILED", 0)
    tasks: list[TaskSignature | None] = [_signature(seed, apart=1) for seed in range(100)]
    table = _table(tasks)
    features = _images_of(tasks, list(range(0, 100, 5)))
    together = table.candidates(features)
    for place in (0, 11, 19):
        alone = table.candidates(features[place : place + 1])
        assert torch.equal(alone.tasks[0], together.tasks[place])
        assert torch.equal(alone.scores[0], together.scores[place])
