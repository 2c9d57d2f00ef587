import functools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from supsup_cli.core.images import Pixels
from supsup_cli.core.inference.methods import infer_tasks
from supsup_cli.core.masks.masks import MaskStack, threshold
from supsup_cli.core.networks.specs import MultilayerPerceptron
from supsup_cli.core.streams.allocation import EPSILON, alpha_weights, needs_new_mask
from supsup_cli.core.streams.stream_learner import StreamDecision, StreamLearner, StreamSettings
from supsup_cli.core.streams.stream_masks import Fit, FrozenNetwork, StreamMask
from supsup_cli.data import embedded, variants
from tests.support.networks import layout_of, pack, signed_constant

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
    """Noise with meaningless labels: a batch that fits no mask and never comes again."""
    stream = torch.Generator().manual_seed(9)
    images = torch.randint(0, 256, (64, 1, 28, 28), generator=stream, dtype=torch.uint8)
    return images, torch.randint(0, 10, (64,), generator=stream)


def feed(learner: StreamLearner, *visits: int, count: int = VISIT) -> list[StreamDecision]:
    decisions = []
    for place, permutation in enumerate(visits):
        for batch in batches(permutation, count, seed=place):
            decisions.append(learner.feed(*batch))
    return [one for one in decisions if one is not None]


def accuracy(mask: StreamMask, permutation: int) -> float:
    images, labels = digits(permutation)
    weights = {name: SHARED.weights[name] * bits for name, bits in mask.masks().items()}
    guesses = SHARED.logits(weights, images[-1000:])[:, :10].argmax(1)
    return float((guesses == labels[-1000:]).float().mean())


def states(learner: StreamLearner) -> list[dict[str, Tensor]]:
    return [mask.state() for mask in learner.masks]


def equal(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        for a, b in zip(one, other, strict=True)
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
    assert feed(learner, 4) == [StreamDecision(n, 0, n == 0) for n in range(0, VISIT, 10)]


def test_an_odd_batch_opens_no_mask_and_teaches_none() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=10))
    feed(learner, 1)
    before = states(learner)
    assert learner.feed(*strange()) is None
    assert equal(before, states(learner))
    for place, batch in enumerate(batches(1, 5, seed=3), start=1):
        learner.feed(*batch)
        assert learner.settled == VISIT + 1 + place
    assert len(learner.masks) == 1
    assert learner.masks[0].steps == VISIT + 5


def test_the_batch_that_comes_decides_alone_after_much_learning() -> None:
    """An odd batch and two usual ones have a mean loss that would surprise a mask that learned."""
    learner = StreamLearner(SHARED, StreamSettings(budget=10))
    for place in range(4):
        feed(learner, 1, count=120) if place else feed(learner, 1, count=100)
    odd = next(batches(2, 1))
    (mask,) = learner.masks
    usual = next(batches(1, 1, seed=7))
    assert learner.feed(*odd) is None
    losses = [mask.loss(*one) for one in (odd, usual, usual)]
    assert sum(losses) / 3 > mask.fit.mean + max(0.2, 12 * mask.fit.excess)
    assert learner.feed(*usual) is not None
    assert len(learner.masks) == 1


def test_an_exhausted_budget_leaves_strangers_unlearned() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=1))
    feed(learner, 1)
    before = states(learner)
    assert feed(learner, 2) == [StreamDecision(VISIT, None, True)]
    assert equal(before, states(learner))
    decisions = feed(learner, 1)
    assert decisions[0] == StreamDecision(2 * VISIT, 0, False)
    assert learner.masks[0].steps > VISIT


@pytest.mark.parametrize("stop", [1, VISIT - 1, VISIT + 1, VISIT + 2, 2 * VISIT + 20])
@pytest.mark.parametrize("rule", ["loss", "paper"])
def test_a_stream_goes_on_from_where_it_was_bit_for_bit(stop: int, rule: str) -> None:
    settings = StreamSettings(budget=3, check_every=15, rule="loss" if rule == "loss" else "paper")
    stream = [*batches(1, VISIT), *batches(2, VISIT), *batches(1, VISIT, seed=1)]
    whole, first = StreamLearner(SHARED, settings), StreamLearner(SHARED, settings)
    told = [whole.feed(*batch) for batch in stream]
    half = [first.feed(*batch) for batch in stream[:stop]]
    masks = [StreamMask.load(SHARED, state) for state in states(first)]
    second = StreamLearner.resume(SHARED, settings, masks, first.current, first.settled)
    assert half[: first.settled] + [second.feed(*one) for one in stream[first.settled :]] == told
    assert equal(states(whole), states(second))


def test_a_batch_that_waits_is_not_settled() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=3))
    feed(learner, 1)
    assert (learner.settled, learner.current) == (VISIT, 0)
    learner.feed(*strange())
    assert (learner.settled, learner.current) == (VISIT, 0)


def test_a_state_is_a_copy_that_later_steps_do_not_change() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=3))
    feed(learner, 1, count=3)
    state = states(learner)
    kept = [{name: one.clone() for name, one in mask.items()} for mask in state]
    feed(learner, 1, count=3)
    assert equal(state, kept)
    assert not equal(state, states(learner))


def test_a_misshapen_state_of_a_mask_is_refused() -> None:
    learner = StreamLearner(SHARED, StreamSettings(budget=3))
    feed(learner, 1, count=3)
    state = states(learner)[0]
    for name, tensor in state.items():
        without = {key: value for key, value in state.items() if key != name}
        for changed in (
            without,
            without | {name: torch.zeros(2, dtype=tensor.dtype)},
            without | {name: torch.full(tensor.shape, 0.5, dtype=torch.float16)},
            state | {f"{name}-2": tensor},
        ):
            with pytest.raises(ValueError, match="state of a mask"):
                StreamMask.load(SHARED, changed)


@pytest.mark.parametrize(("current", "settled"), [(1, 3), (-1, 3), (0, -1)])
def test_a_place_that_no_stream_can_have_is_refused(current: int, settled: int) -> None:
    mask = StreamMask.fresh(SHARED, seed=0, name="m")
    with pytest.raises(ValueError, match="found"):
        StreamLearner.resume(SHARED, StreamSettings(budget=2), [mask], current, settled)
    with pytest.raises(ValueError, match="3 masks"):
        StreamLearner.resume(SHARED, StreamSettings(budget=2), [mask] * 3, 0, 1)


def test_the_papers_rule_parts_two_tasks_and_knows_the_first_again() -> None:
    settings = StreamSettings(budget=10, check_every=120, rule="paper")
    decisions = feed(StreamLearner(SHARED, settings), 1, 2, 1, count=120)
    assert decisions == [
        StreamDecision(0, 0, True),
        StreamDecision(120, 1, True),
        StreamDecision(240, 0, False),
    ]


def test_alpha_weights_are_those_of_one_shot() -> None:
    layout = layout_of(NETWORK)
    drawn = [StreamMask.fresh(SHARED, seed=0, name=str(n)) for n in range(6)]
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
    mask = StreamMask.fresh(SHARED, seed=0, name="m")
    batch = next(batches(1, 1))
    before = mask.scores["layers.0.weight"].clone()
    loss = mask.learn(*batch, most=1.0)
    assert loss == pytest.approx(mask.loss(*batch))
    assert loss > 1.0
    assert (mask.steps, torch.equal(before, mask.scores["layers.0.weight"])) == (0, True)
    mask.learn(*batch, most=loss + 0.1)
    assert (mask.steps, torch.equal(before, mask.scores["layers.0.weight"])) == (1, False)
