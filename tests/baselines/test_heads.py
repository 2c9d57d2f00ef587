"""Separate heads, the lower and the upper bound, and the loop with which all rivals learn."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from supsup_cli.baselines.catalog import RIVALS
from supsup_cli.baselines.heads import OwnNetworks, SeparateHeads
from supsup_cli.baselines.learner import Learner
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.seeds import generator
from tests.support.rivals import FAST, PIXELS, RECIPE, accuracy, learn, make_base, make_task


def test_the_lower_bound_forgets_and_the_upper_bound_does_not() -> None:
    tasks = [make_task(number) for number in range(4)]
    base = make_base("mlp-4")  # little room
    lower, upper = SeparateHeads(base, "always"), OwnNetworks(base)
    last = {}
    for method in (lower, upper):
        learner = Learner(method, PIXELS, 0)
        learned = []
        for place, (task, *test) in enumerate(tasks):
            learner.learn(task, FAST)
            learned.append(accuracy(learner, place, *test))
        last[method] = [accuracy(learner, place, *tasks[place][1:]) for place in range(4)]
        assert min(learned) > 0.9
        forgotten = [then - now for then, now in zip(learned, last[method], strict=True)]
        if method is upper:
            assert forgotten == [0, 0, 0, 0]
        else:
            assert sum(forgotten[:-1]) / 3 > 0.03


def test_the_upper_bound_is_separate_training() -> None:
    tasks = [make_task(number, 16) for number in range(2)]
    method = OwnNetworks(make_base("conv-4", 16))
    together = learn(method, [task for task, *_ in tasks])
    alone = learn(method, [tasks[1][0]])
    assert together.shared == alone.shared == {}
    assert set(together.tasks[1].own) == set(alone.tasks[0].own)
    for name, one in alone.tasks[0].own.items():
        assert torch.equal(one, together.tasks[1].own[name])
    assert torch.equal(alone.logits(0, tasks[1][1]), together.logits(1, tasks[1][1]))


@pytest.mark.parametrize("name", RIVALS)
def test_learning_leaves_the_trained_base_as_it_was(name: str) -> None:
    base = replace(make_base("mlp-8"), trained=True)
    before = {key: one.clone() for key, one in base.weights.items()}
    learn(RIVALS[name].make(base), [make_task(0)[0]])
    assert all(torch.equal(one, before[key]) for key, one in base.weights.items())
    assert not any(one.requires_grad for one in base.weights.values())


def test_the_loop_is_plain_training() -> None:
    """The same network, start and batches under torch's own Adam."""
    task, images, _ = make_task(0)
    method = OwnNetworks(make_base("mlp-24"))
    learner = learn(method, [task])
    start = method.own(task.name, 3)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 24, bias=False), nn.ReLU(), nn.Linear(24, 3, bias=False)
    )
    network.load_state_dict(
        {"1.weight": start["layers.0.weight"], "3.weight": start["layers.1.weight"]}
    )
    adam = torch.optim.Adam(network.parameters(), lr=RECIPE.learning_rate, betas=(0.9, 0.999))
    order = BatchOrder(300, RECIPE.batch_size, generator(0, "batches", task.name))
    for _ in range(RECIPE.steps):
        here = order.next_batch()
        adam.zero_grad()
        inputs = PIXELS(task.train.take(here))
        F.cross_entropy(network(inputs), task.train.targets[here]).backward()
        adam.step()
    torch.testing.assert_close(
        learner.logits(0, images), network(PIXELS(images)), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(("name", "changes"), [("heads-shared", 1), ("heads-random", 0)])
def test_the_trunk_learns_in_the_first_task_or_never(name: str, changes: int) -> None:
    tasks = [make_task(number) for number in range(3)]
    method = RIVALS[name].make(make_base("mlp-32"))
    learner = Learner(method, PIXELS, 0)
    changed = 0
    for task, *_ in tasks:
        before = {one: values.clone() for one, values in learner.shared.items()}
        learner.learn(task, RECIPE)
        changed += any(not torch.equal(before[one], now) for one, now in learner.shared.items())
    assert changed == changes
    assert [
        {name: tuple(one.shape) for name, one in task.own.items()} for task in learner.tasks
    ] == [{"layers.1.weight": (3, 32)}] * 3
    trunk = 4 * 64 * 32 * changes  # a seed draws the random one again
    assert learner.bytes == trunk + 3 * 4 * 3 * 32


def test_linear_heads_stand_on_the_frozen_network() -> None:
    base = make_base("mlp-32")
    task, images, _ = make_task(0)
    learner = learn(RIVALS["linear-heads"].make(base), [task])
    assert torch.equal(learner.shared["layers.0.weight"], base.weights["layers.0.weight"])
    features = F.relu(PIXELS(images).flatten(1) @ base.weights["layers.0.weight"].T)
    head = learner.tasks[0].own["layers.1.weight"]
    torch.testing.assert_close(learner.logits(0, images), features @ head.T)


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize(("arch", "side"), [("mlp-24", 8), ("conv-4", 16)])
def test_every_rival_learns_two_tasks_and_keeps_a_task_of_fewer_classes(
    name: str, arch: str, side: int
) -> None:
    rival = RIVALS[name]
    (first, *_), (second, images, labels) = make_task(0, side), make_task(1, side, classes=2)
    learner = Learner(rival.make(make_base(arch, side)), PIXELS, 0)
    learner.learn(first, RECIPE)
    learner.learn(second, FAST if rival.two_rates else RECIPE)
    assert learner.logits(1, images).shape == (200, 2)
    assert accuracy(learner, 1, images, labels) > 0.8


@pytest.mark.parametrize("name", ["heads-shared", "lower-bound", "upper-bound", "psp", "batche"])
def test_a_trained_base_is_where_rivals_begin(name: str) -> None:
    plain = make_base("mlp-24")
    trained = type(plain)(plain.spec, 3, plain.weights, trained=True, seed=0)
    method = RIVALS[name].make(trained)
    start = method.shared() | method.own("a", 3)
    kept = next(one for one in start.values() if one.shape == (24, 64))
    assert torch.equal(kept, plain.weights["layers.0.weight"])
    assert any(one.shape == (3, 24) for one in start.values())
