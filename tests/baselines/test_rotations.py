"""PSP: contexts are orthogonal, undo each other, and keep tasks apart in one network."""

import pytest
import torch
from torch.func import functional_call

from supsup_cli.baselines.rotations import Superposition, random_rotation
from supsup_cli.core.networks.normalisation import blank_statistics
from supsup_cli.core.seeds import generator
from tests.support.rivals import accuracy, learn, make_base, make_task


def test_a_rotation_is_orthogonal_and_its_transpose_undoes_it() -> None:
    turned = random_rotation(60, generator(0, "a")).double()
    torch.testing.assert_close(turned @ turned.T, torch.eye(60).double(), rtol=0, atol=1e-6)
    values = torch.randn(5, 60, dtype=torch.float64)
    torch.testing.assert_close(values @ turned.T @ turned, values, rtol=0, atol=1e-5)


def test_rotations_are_drawn_evenly() -> None:
    drawn = torch.stack([random_rotation(4, generator(0, str(n))) for n in range(3000)])
    # In an even draw, every entry has mean zero and variance 1 / size, whatever its sign.
    assert drawn.mean(0).abs().max() < 0.05
    assert (drawn.square().mean(0) - 0.25).abs().max() < 0.03


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("arch", "side"), [("mlp-24-16", 8), ("conv-4", 16)])
def test_weights_turned_back_answer_as_the_plain_network(
    arch: str, side: int, binary: bool
) -> None:
    base = make_base(arch, side)
    method = Superposition(base, 3, binary=binary)
    plain = base.network(3)
    shared = method.shared()
    values = method.weights(shared, {}, "a")
    undone = dict(values)
    outer = {}
    for name, one in shared.items():
        outer[name.replace(".layer.", ".")] = one
        context = values.get(name.replace(".layer.weight", ".context"))
        if context is not None:
            back = torch.diag(context) if context.dim() == 1 else context
            undone[name] = torch.einsum("oi...,ji->oj...", one, back)
    images = torch.randn(4, 1, side, side)
    blank = blank_statistics(plain, torch.device("cpu"))
    expected = functional_call(plain, outer | blank, (images,))
    found = functional_call(method.network, undone | blank, (images,))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    turned = functional_call(method.network, values | blank, (images,))
    assert not torch.allclose(turned, expected, atol=1e-2)


@pytest.mark.parametrize("binary", [False, True])
def test_tasks_share_one_network_and_answer_in_their_own_context_alone(binary: bool) -> None:
    tasks = [make_task(number) for number in range(3)]
    method = Superposition(make_base("mlp-64"), 3, binary=binary)
    learner = learn(method, [task for task, *_ in tasks])
    assert all(task.own == {} for task in learner.tasks)
    assert learner.bytes == 4 * (64 * 64 + 64 * 3)
    own = [accuracy(learner, place, *tasks[place][1:]) for place in range(3)]
    foreign = [accuracy(learner, (place + 1) % 3, *tasks[place][1:]) for place in range(3)]
    assert min(own) > max(foreign) + 0.1, (own, foreign)
