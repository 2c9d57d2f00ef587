import functools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from supsup_cli.core.allocation import EPSILON, alpha_weights, needs_new_mask
from supsup_cli.core.learning import Pixels
from supsup_cli.core.masks import MaskStack, threshold
from supsup_cli.core.networks import MultilayerPerceptron
from supsup_cli.core.open_masks import Fit, FrozenNetwork, OpenMask
from supsup_cli.core.streams import Decision, StreamLearner, StreamSettings
from supsup_cli.core.task_inference import infer_tasks
from supsup_cli.data import embedded, variants
from tests.networks import layout_of, pack, signed_constant

Batch = tuple[Tensor, Tensor]
NETWORK = signed_constant(MultilayerPerceptron((784, 48, 32, 100)), seed=0)
PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
SHARED = FrozenNetwork(NETWORK, dict(NETWORK.named_parameters()), PIXELS)
VISIT = 45


@functools.cache
def digits(permutation: int) -> Batch:
    images, labels = embedded.load_mnist(train=True)
    permuted = variants.permuted(images[:8000], permutation)
    return torch.from_numpy(permuted.copy()), torch.from_numpy(labels[:8000].copy())


def batches(permutation: int, count: int, seed: int = 0) -> Iterator[Batch]:
    images, labels = digits(permutation)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    for picked in order[: 64 * count].split(64):
        yield images[picked], labels[picked]


def strange() -> Batch:
    """Noise with labels that mean nothing: a batch that fits no mask and never comes again."""
    stream = torch.Generator().manual_seed(9)
    images = torch.randint(0, 256, (64, 1, 28, 28), generator=stream, dtype=torch.uint8)
    return images, torch.randint(0, 10, (64,), generator=stream)


def feed(learner: StreamLearner, *visits: int, count: int = VISIT) -> list[Decision]:
    decisions = []
    for place, permutation in enumerate(visits):
        for batch in batches(permutation, count, seed=place):
            decisions.append(learner.feed(*batch))
    return [one for one in decisions if one is not None]


def accuracy(mask: OpenMask, permutation: int) -> float:
    images, labels = digits(permutation)
    weights = {name: SHARED.weights[name] * bits for name, bits in mask.masks().items()}
    guesses = SHARED.logits(weights, images[-1000:])[:, :10].argmax(1)
    return float((guesses == labels[-1000:]).float().mean())


def states(learner: StreamLearner) -> dict[str, Tensor | int]:
    return {
        key: one.clone() if isinstance(one, Tensor) else one
        for key, one in learner.export().items()
    }


def equal(one: dict[str, Tensor | int], other: dict[str, Tensor | int]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.as_tensor(one[key]), torch.as_tensor(other[key])) for key in one
    )


def test_each_hidden_task_gets_one_mask_at_its_first_batch_and_again_when_it_returns() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=10))
    decisions = feed(learner, 1, 2, 1, 3, 2)
    changes = [one for one in decisions if one.batch % VISIT == 0]
    assert [(one.batch // VISIT, one.mask, one.new) for one in changes] == [
        (0, 0, True),
        (1, 1, True),
        (2, 0, False),
        (3, 2, True),
        (4, 1, False),
    ]
    assert [mask.steps for mask in learner.masks] == [2 * VISIT, 2 * VISIT, VISIT]
    for mask, permutation in zip(learner.masks, (1, 2, 3), strict=True):
        # chance is 0.1
        assert accuracy(mask, permutation) > 0.35 > accuracy(mask, permutation + 5)


def test_regular_comparisons_find_that_nothing_changed() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=10, check_every=10))
    assert feed(learner, 4) == [Decision(n, 0, n == 0) for n in range(0, VISIT, 10)]


def test_an_odd_batch_opens_no_mask_and_teaches_none() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=10))
    feed(learner, 1)
    plain = learner.masks[0].export()["scores.layers.0.weight"]
    before = torch.as_tensor(plain).clone()
    assert learner.feed(*strange()) is None
    assert torch.equal(before, torch.as_tensor(plain))
    feed(learner, 1, count=5)
    assert len(learner.masks) == 1


def test_an_exhausted_budget_leaves_strangers_unlearned() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=1))
    feed(learner, 1)
    before = states(learner)
    assert feed(learner, 2) == [Decision(VISIT, None, True)]
    after = states(learner)
    masks = {key for key in before if key.startswith("mask.")}
    assert equal({key: before[key] for key in masks}, {key: after[key] for key in masks})
    decisions = feed(learner, 1)
    assert decisions[0] == Decision(2 * VISIT, 0, False)
    assert learner.masks[0].steps > VISIT


@pytest.mark.parametrize("stop", [1, VISIT - 1, VISIT + 1, VISIT + 2, 2 * VISIT + 20])
@pytest.mark.parametrize("rule", ["loss", "paper"])
def test_a_stream_continues_from_its_exported_state_bit_for_bit(stop: int, rule: str) -> None:
    settings = StreamSettings(budget=3, check_every=15, rule="loss" if rule == "loss" else "paper")
    stream = [*batches(1, VISIT), *batches(2, VISIT), *batches(1, VISIT, seed=1)]
    whole, first = StreamLearner(SHARED, settings), StreamLearner(SHARED, settings)
    told = [whole.feed(*batch) for batch in stream]
    half = [first.feed(*batch) for batch in stream[:stop]]
    second = StreamLearner.load(SHARED, settings, states(first))
    assert half + [second.feed(*batch) for batch in stream[stop:]] == told
    assert equal(states(whole), states(second))


def test_the_state_is_flat_tensors_and_whole_numbers() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=3))
    feed(learner, 1)
    learner.feed(*strange())
    state = learner.export()
    assert {type(one) for one in state.values()} == {Tensor, int}
    assert (state["masks"], state["waiting"], state["batches"]) == (1, 1, VISIT + 1)


def test_the_papers_rule_parts_two_tasks_and_knows_the_first_again() -> None:
    settings = StreamSettings(budget=10, check_every=120, rule="paper")
    decisions = feed(StreamLearner(SHARED, settings), 1, 2, 1, count=120)
    assert decisions == [Decision(0, 0, True), Decision(120, 1, True), Decision(240, 0, False)]


def test_alpha_weights_are_those_of_one_shot() -> None:
    layout = layout_of(NETWORK)
    drawn = [OpenMask.fresh(SHARED, seed=0, name=str(n)) for n in range(6)]
    masks = [threshold(one.scores) for one in drawn]
    images = digits(1)[0][:32]
    scores = infer_tasks(
        NETWORK,
        MaskStack(torch.stack([pack(one, layout) for one in masks]), layout),
        PIXELS(images)[None],
        method="one-shot",
        objective="H",
        real=torch.arange(100) < 10,
        own=(torch.arange(100) < 10).expand(6, -1),
    )
    torch.testing.assert_close(alpha_weights(SHARED, masks, images), scores[0].softmax(0))


def test_a_mask_is_due_where_none_stands_out() -> None:
    assert needs_new_mask(torch.full((7,), 1 / 7))
    assert needs_new_mask(torch.tensor([(1 + EPSILON) / 2 - 1e-3, (1 - EPSILON) / 2 + 1e-3]))
    assert not needs_new_mask(torch.tensor([(1 + EPSILON) / 2 + 1e-3, (1 - EPSILON) / 2 - 1e-3]))


def test_a_fit_remembers_what_exceeded_its_mean() -> None:
    falling, level = Fit(), Fit()
    for step in range(60):
        falling.note(6.0 * 0.9**step)
        level.note(1.0 + 0.1 * (-1) ** step)
    assert falling.excess == 0.0
    assert falling.mean < 0.1
    assert level.mean == pytest.approx(1.0, abs=0.02)
    assert level.excess == pytest.approx(0.05, abs=0.01)


def test_a_mask_learns_nothing_from_a_batch_beyond_the_bound() -> None:
    mask = OpenMask.fresh(SHARED, seed=0, name="m")
    batch = next(batches(1, 1))
    before = mask.scores["layers.0.weight"].clone()
    loss = mask.learn(*batch, most=1.0)
    assert loss == pytest.approx(mask.loss(*batch))
    assert loss > 1.0
    assert (mask.steps, torch.equal(before, mask.scores["layers.0.weight"])) == (0, True)
    mask.learn(*batch, most=loss + 0.1)
    assert (mask.steps, torch.equal(before, mask.scores["layers.0.weight"])) == (1, False)
