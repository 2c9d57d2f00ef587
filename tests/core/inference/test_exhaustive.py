"""Trying every mask fast gives the scores, or at least the winners, of doing it plainly."""

import dataclasses

import pytest
import torch
from torch import Tensor

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.inference import exhaustive as implementation
from supsup_cli.core.inference.exhaustive import exhaustive, few_misfits
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import RECIPES
from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import Objective, masked_forward, misfit
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.data import catalog
from tests.support.networks import finish, layout_of, pack, random_stack, signed_constant

OUTPUTS, TASKS = 30, 40
NETWORK = signed_constant(MultilayerPerceptron((36, 25, 17, OUTPUTS)), seed=0)
STACK = random_stack(layout_of(NETWORK), TASKS, seed=1)


def _own(kind: str) -> Tensor:
    own = torch.zeros(TASKS, OUTPUTS, dtype=torch.bool)
    for task in range(TASKS):
        first = task % 5
        chosen = {
            "first": [0, 1, 2],
            "middle": [first, first + 1],
            "apart": [first, first + 3],
            "one": [first],
        }
        own[task, chosen[kind]] = True
    return own


def _groups(count: int, size: int) -> Tensor:
    stream = torch.Generator().manual_seed(2)
    return torch.randn(count, size, 1, 6, 6, generator=stream) * 3


def _plain(stack: MaskStack, groups: Tensor, objective: Objective, own: Tensor) -> Tensor:
    columns = []
    for task in range(len(stack)):
        logits = masked_forward(NETWORK, stack.masks(task), groups.flatten(0, 1))
        values = misfit(objective, logits, own[task])
        columns.append(-values.unflatten(0, groups.shape[:2]).mean(1))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("objective", ["H", "G", "R"])
@pytest.mark.parametrize("kind", ["first", "middle", "apart", "one"])
@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 2), (300, 1)])
def test_scores_are_those_of_each_mask_run_by_itself(
    objective: Objective, kind: str, count: int, size: int
) -> None:
    groups, own = _groups(count, size), _own(kind)
    found = exhaustive(NETWORK, STACK, groups, objective, own)
    expected = _plain(STACK, groups, objective, own)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_gains_of_sparse_masks_are_applied() -> None:
    stack = dataclasses.replace(STACK, gains=torch.rand(TASKS, 3) + 0.5)
    groups, own = _groups(5, 1), _own("first")
    found = exhaustive(NETWORK, stack, groups, "R", own)
    torch.testing.assert_close(found, _plain(stack, groups, "R", own), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("objective", ["H", "G", "R"])
@pytest.mark.parametrize("kind", ["first", "apart"])
@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 2), (8, 1)])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_few_images_are_compared_where_the_bits_lie(
    objective: Objective,
    kind: str,
    count: int,
    size: int,
    sparse: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By compiled loops; rows of 36, 25 and 17 weights begin and end inside bytes."""
    monkeypatch.setattr(bit_kernels, "_WORTH_COMPILED", 0)
    gains = torch.rand(TASKS, 3) + 0.5 if sparse else None
    stack = dataclasses.replace(STACK, gains=gains)
    groups, own = _groups(count, size), _own(kind)
    images, before = groups.flatten(0, 1), groups.clone()
    assert few_misfits(NETWORK, stack, images, objective, own) is not None
    found = exhaustive(NETWORK, stack, groups, objective, own, 1)
    expected = _plain(stack, groups, objective, own)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(groups, before)


def test_images_are_not_changed() -> None:
    groups = _groups(4, 1)
    before = groups.clone()
    exhaustive(NETWORK, STACK, groups, "R", _own("first"))
    assert torch.equal(groups, before)


@pytest.mark.parametrize("top", [1, 3])
@pytest.mark.parametrize("kind", ["first", "middle", "apart"])
def test_comparing_roughly_first_changes_no_score_of_the_best(
    kind: str, top: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implementation, "has_fast_bfloat16", lambda _device: True)
    groups, own = _groups(400, 1), _own(kind)
    found = exhaustive(NETWORK, STACK, groups, "R", own, top)
    expected = _plain(STACK, groups, "R", own)
    assert 0.01 < float(found.isnan().float().mean()) < 1
    best = expected.topk(top, dim=1)
    assert torch.equal(found.nan_to_num(-torch.inf).topk(top, dim=1).indices, best.indices)
    kept = ~found.isnan()
    torch.testing.assert_close(found[kept], expected[kept], atol=1e-4, rtol=1e-4)


def test_rounding_to_bfloat16_stays_far_within_the_margin() -> None:
    groups, own = _groups(300, 1), _own("first")
    run = implementation.MaskedPerceptron(NETWORK, STACK, torch.bfloat16)  # type: ignore[arg-type]
    expected = _plain(STACK, groups, "R", own)
    images = groups.flatten(0, 1).flatten(1)[:256]
    for task in range(TASKS):
        run.take(task)
        logits = run(images.to(torch.bfloat16)).to(torch.float32)
        error = (-misfit("R", logits, own[task]) - expected[:256, task]).abs()
        size = logits[:, :3].logsumexp(1).abs()
        margin = implementation._MARGIN + implementation._MARGIN_SHARE * size
        # Two scores are compared, and each has an error.
        assert float((2 * error / margin).max()) < 0.5


@pytest.mark.slow
def test_ten_thousand_images_find_the_task_that_float32_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(implementation, "has_fast_bfloat16", lambda _device: True)
    network = signed_constant(MultilayerPerceptron((784, 300, 100, 500)), seed=0)
    layout = layout_of(network)
    pixels = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
    recipe = dataclasses.replace(RECIPES["fast"], steps=250)
    rows, images = [], []
    for task in range(40):
        data = catalog.load(f"mnist-perm-{task}", (1, 28, 28))
        train = LabelledImages(
            torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
        )
        names = masked_parameters(network)
        learning = Learning(network, names, train, pixels, recipe, seed=0, task=str(task))
        rows.append(pack(finish(learning), layout))
        images.append(pixels(torch.tensor(data.test.images[task * 250 : (task + 1) * 250])))
    stack = MaskStack(torch.stack(rows), layout)
    own = (torch.arange(500) < 10).expand(40, -1)
    groups = torch.cat(images)[:, None]
    best = exhaustive(network, stack, groups, "R", own, 1)
    everything = exhaustive(network, stack, groups, "R", own)
    assert len(groups) == 10_000
    assert torch.equal(best.nan_to_num(-torch.inf).argmax(1), everything.argmax(1))
    # Nearly every image is settled in the first comparison.
    assert float((~best.isnan()).float().sum(1).mean()) < 2


def test_few_images_or_tasks_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementation, "has_fast_bfloat16", lambda _device: True)
    own = _own("first")
    few = exhaustive(NETWORK, STACK, _groups(implementation._LEAST_IMAGES - 1, 1), "R", own, 1)
    groups = exhaustive(NETWORK, STACK, _groups(40, 2), "R", own, 1)
    many = exhaustive(NETWORK, STACK, _groups(40, 1), "R", own, TASKS)
    assert not any(bool(one.isnan().any()) for one in (few, groups, many))
