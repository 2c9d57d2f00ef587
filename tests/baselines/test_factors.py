"""BatchEnsemble: a product of rank one for each layer and task; One-Shot over the factors."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.func import functional_call

from supsup_cli.baselines.batch_ensemble import BatchEnsemble
from supsup_cli.baselines.networks import along_inputs
from supsup_cli.baselines.one_shot import one_shot_factors
from supsup_cli.core.masks.superposition import entropy
from tests.support.rivals import FAST, PIXELS, RECIPE, learn, make_base, make_task


@pytest.mark.parametrize("arch", ["mlp-24", "conv-4"])
def test_factors_scale_what_goes_into_a_layer_and_what_comes_out(arch: str) -> None:
    base = make_base(arch, 16)
    method = BatchEnsemble(base, 3)
    own = {name: torch.randn_like(one).double() for name, one in method.own("a", 3).items()}
    shared = {name: one.double() for name, one in method.shared().items()}
    made = method.weights(shared, own, "a")
    stream = torch.Generator().manual_seed(0)
    for name, layer in method.layers.items():
        weight = shared[f"{name}.weight"]
        convolves = isinstance(layer, nn.Conv2d)
        given = torch.randn(2, weight.shape[1], *(5, 5) * convolves, generator=stream).double()
        r, s = (along_inputs(layer, one) for one in method.ends(own, name))
        at_once = functional_call(layer, {"weight": made[f"{name}.weight"]}, (given,))
        parted = s * functional_call(layer, {"weight": weight}, (given * r,))
        torch.testing.assert_close(at_once, parted, rtol=1e-12, atol=1e-12)
        ratio = made[f"{name}.weight"] / weight
        assert torch.linalg.matrix_rank(ratio.flatten(2)[:, :, 0] if convolves else ratio) == 1


def test_groups_of_a_convolution_share_the_factors_of_their_inputs() -> None:
    method = BatchEnsemble(make_base("conv-4", 16), 3)
    layer = nn.Conv2d(4, 6, 3, groups=2, bias=False)
    own = {"x/in": torch.tensor([2.0, 3.0]), "x/out": torch.arange(1.0, 7.0)}
    method.layers["x"] = layer
    r, s = method.ends(own, "x")
    assert r.tolist() == [2, 3, 2, 3]
    images = torch.randn(1, 4, 5, 5)
    scaled = layer.weight * (own["x/out"][:, None] * own["x/in"])[:, :, None, None]
    at_once = functional_call(layer, {"weight": scaled}, (images,))
    parted = s[:, None, None] * layer(images * r[:, None, None])
    torch.testing.assert_close(at_once, parted)


def test_weights_are_frozen_after_the_first_task_and_earlier_answers_stay() -> None:
    tasks = [make_task(number, 16) for number in range(3)]
    learner = learn(BatchEnsemble(make_base("conv-4", 16), 3), [task for task, *_ in tasks[:1]])
    shared = {name: one.clone() for name, one in learner.shared.items()}
    before = learner.logits(0, tasks[0][1])
    for task, *_ in tasks[1:]:
        learner.learn(task, RECIPE)
    assert all(torch.equal(shared[name], one) for name, one in learner.shared.items())
    assert torch.equal(before, learner.logits(0, tasks[0][1]))
    first, second = learner.tasks[0].own, learner.tasks[1].own
    assert all(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("arch", "side"), [("mlp-24-16", 8), ("conv-4", 16)])
def test_one_shot_is_the_gradient_of_the_entropy_at_the_even_mixture(arch: str, side: int) -> None:
    tasks = [make_task(number, side) for number in range(4)]
    method = BatchEnsemble(make_base(arch, side), 40)
    learner = learn(method, [task for task, *_ in tasks])
    images = tasks[2][1][:3]
    scores = one_shot_factors(method, learner, images)
    assert scores.shape == (3, 4)
    statistics = {
        name: sum(task.statistics[name] for task in learner.tasks) / 4
        for name in learner.tasks[0].statistics
    }
    for image, row in zip(images, scores, strict=True):
        alphas = torch.full((4,), 0.25, requires_grad=True)
        mixed = dict(learner.shared)
        for layer in method.layers:
            factor = sum(
                alpha * method.factor(task.own, layer)
                for alpha, task in zip(alphas, learner.tasks, strict=True)
            )
            mixed[f"{layer}.weight"] = mixed[f"{layer}.weight"] * factor
        logits = functional_call(method.network, mixed | statistics, (PIXELS(image[None]),))
        (gradient,) = torch.autograd.grad(entropy(logits).sum(), alphas)
        torch.testing.assert_close(row, -gradient, rtol=1e-3, atol=1e-4)


def test_one_shot_names_the_tasks_of_images_with_superfluous_outputs() -> None:
    tasks = [make_task(number) for number in range(3)]
    method = BatchEnsemble(make_base("mlp-64"), 40)
    learner = learn(method, [task for task, *_ in tasks], FAST)
    right = [
        float((one_shot_factors(method, learner, images).argmax(1) == place).float().mean())
        for place, (_, images, _) in enumerate(tasks)
    ]
    assert sum(right) / 3 > 0.6, right


def test_factors_begin_as_signs_of_their_own_streams() -> None:
    method = BatchEnsemble(make_base(), 3)
    made = [method.own(task, 3) for task in ("a", "b")]
    assert all(set(one.tolist()) <= {-1.0, 1.0} for own in made for one in own.values())
    rows = [one for own in made for one in own.values() if len(one) == 24]
    assert all(not torch.equal(one, other) for one, other in pairwise(rows))
