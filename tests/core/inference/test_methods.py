import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from supsup_cli.core.inference.methods import Method, alpha_gradients, descent, infer_tasks
from supsup_cli.core.masks.superposition import (
    Objective,
    entropy,
    log_odds,
    masked_forward,
    misfit,
    mixture_loss,
    superfluous_pull,
    superpose,
)
from supsup_cli.core.networks.specs import MultilayerPerceptron
from tests.support.networks import TinyConvolution, layout_of, random_stack, signed_constant

OUTPUTS, REAL, TASKS = 20, 4, 5
METHODS: list[Method] = ["one-shot", "binary", "descent", "exhaustive"]
OBJECTIVES: list[Objective] = ["H", "G", "R"]


@pytest.fixture(params=["perceptron", "convolution"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    made = (
        MultilayerPerceptron((784, 12, OUTPUTS))
        if request.param == "perceptron"
        else TinyConvolution(OUTPUTS)
    )
    return signed_constant(made, seed=0)


def real() -> Tensor:
    return torch.arange(OUTPUTS) < REAL


def own() -> Tensor:
    masks = torch.zeros(TASKS, OUTPUTS, dtype=torch.bool)
    for task in range(TASKS):
        masks[task, [task % REAL, (task + 1) % REAL]] = True
    return masks


def images(groups: int, size: int) -> Tensor:
    return torch.randn(groups, size, 1, 28, 28, generator=torch.Generator().manual_seed(2))


def loss_of(objective: Objective) -> Callable[[Tensor], Tensor]:
    return lambda logits: mixture_loss(objective, logits, real()).mean()


@pytest.mark.parametrize("objective", ["H", "R"])
@pytest.mark.parametrize("size", [1, 3])
def test_alpha_gradients_agree_with_finite_differences(
    network: nn.Module, objective: Objective, size: int
) -> None:
    network = network.double()
    stack = random_stack(layout_of(network), TASKS, seed=1)
    alphas = torch.rand(1, TASKS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    group = images(1, size).double()
    masks = [
        {name: mask.double() for name, mask in stack.masks(index).items()} for index in range(TASKS)
    ]

    def value(at: Tensor) -> float:
        mixture = {name: sum(at[k] * masks[k][name] for k in range(TASKS)) for name in masks[0]}
        return float(loss_of(objective)(masked_forward(network, mixture, group[0])))

    step = 1e-6
    numeric = torch.tensor(
        [
            (value(alphas[0] + step * unit) - value(alphas[0] - step * unit)) / (2 * step)
            for unit in torch.eye(TASKS, dtype=torch.float64)
        ]
    )
    exact = alpha_gradients(
        network.float(), stack, alphas.float(), group.float(), loss_of(objective)
    )
    torch.testing.assert_close(exact[0], numeric.float(), rtol=2e-3, atol=1e-4)


def test_g_lets_gradient_reach_superfluous_outputs_alone() -> None:
    logits = torch.randn(3, OUTPUTS, requires_grad=True)
    superfluous_pull(logits, real()).sum().backward()
    assert logits.grad is not None
    expected = logits.detach().softmax(-1)
    expected[:, :REAL] = 0
    torch.testing.assert_close(logits.grad, expected)
    torch.testing.assert_close(superfluous_pull(logits, real()), logits.logsumexp(-1))


def test_objectives_agree_with_their_formulas() -> None:
    logits = torch.randn(4, OUTPUTS, dtype=torch.float64)
    p = logits.softmax(-1)
    torch.testing.assert_close(entropy(logits), -(p * p.log()).sum(-1))
    none_of_mine = p[:, REAL:].sum(-1)
    torch.testing.assert_close(log_odds(logits, real()), (none_of_mine / (1 - none_of_mine)).log())
    torch.testing.assert_close(misfit("G", logits, real()), logits[:, REAL:].logsumexp(-1))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_one_shot_of_many_groups_is_one_shot_of_each(
    network: nn.Module, objective: Objective
) -> None:
    stack = random_stack(layout_of(network), TASKS, seed=1)
    groups = images(6, 3)
    even = torch.full((1, TASKS), 1 / TASKS)
    together = alpha_gradients(network, stack, even, groups, loss_of(objective))
    for row, group in zip(together, groups, strict=True):
        alone = alpha_gradients(network, stack, even, group[None], loss_of(objective))
        torch.testing.assert_close(row, alone[0], rtol=1e-4, atol=1e-5)


def test_gradients_of_own_superpositions_are_those_of_shared_ones(network: nn.Module) -> None:
    stack = random_stack(layout_of(network), TASKS, seed=1)
    alphas = torch.rand(3, TASKS, generator=torch.Generator().manual_seed(3))
    groups = images(3, 2)
    own_alphas = alpha_gradients(network, stack, alphas, groups, loss_of("H"))
    for index in range(3):
        one = slice(index, index + 1)
        alone = alpha_gradients(network, stack, alphas[one], groups[one], loss_of("H"))
        torch.testing.assert_close(own_alphas[one], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_single_task_is_named_by_every_method(
    network: nn.Module, method: Method, objective: Objective
) -> None:
    stack = random_stack(layout_of(network), 1, seed=1)
    scores = infer_tasks(
        network, stack, images(4, 1), method=method, objective=objective, real=real(), own=own()[:1]
    )
    assert scores.shape == (4, 1)
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize("tasks", [2, 3, 4, 5, 8, 9])
def test_binary_ends_with_two_tasks_even_when_all_are_equal(tasks: int) -> None:
    network = signed_constant(MultilayerPerceptron((784, 12, OUTPUTS)), seed=0)
    stack = random_stack(layout_of(network), 1, seed=1)
    equal = type(stack)(stack.packed.expand(tasks, -1).contiguous(), stack.layout)
    scores = infer_tasks(
        network,
        equal,
        images(3, 1),
        method="binary",
        objective="H",
        real=real(),
        own=own()[:1].expand(tasks, -1),
    )
    assert (~scores.isnan()).sum(1).tolist() == [2, 2, 2]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_descent_follows_the_gradient_within_the_simplex(
    network: nn.Module, objective: Objective
) -> None:
    stack = random_stack(layout_of(network), TASKS, seed=1)
    groups = images(3, 2)
    scores = descent(network, stack, groups, loss_of(objective))
    alphas = scores.exp()
    torch.testing.assert_close(alphas.sum(1), torch.ones(3))
    even = torch.full((3, TASKS), 1 / TASKS)
    mixtures = [superpose(stack, each) for each in (even, alphas)]
    for group in range(3):
        before, after = (
            float(
                loss_of(objective)(
                    masked_forward(
                        network, {name: mask[group] for name, mask in mixed.items()}, groups[group]
                    )
                )
            )
            for mixed in mixtures
        )
        if objective != "G":  # only its gradient should be used
            assert after < before
    for row, group in zip(scores, groups, strict=True):
        alone = descent(network, stack, group[None], loss_of(objective))[0]
        assert int(row.argmax()) == int(alone.argmax())


@pytest.mark.parametrize("method", METHODS)
def test_equal_tasks_have_equal_scores_and_the_first_is_named(method: Method) -> None:
    network = signed_constant(MultilayerPerceptron((784, 12, OUTPUTS)), seed=0)
    stack = random_stack(layout_of(network), 1, seed=1)
    equal = type(stack)(stack.packed.expand(2, -1).contiguous(), stack.layout)
    scores = infer_tasks(
        network,
        equal,
        images(2, 1),
        method=method,
        objective="R",
        real=real(),
        own=own()[:1].expand(2, -1),
    )
    torch.testing.assert_close(scores[:, 0], scores[:, 1])


def test_gains_weigh_masks_alike_alone_and_in_superposition(network: nn.Module) -> None:
    plain = random_stack(layout_of(network), 3, seed=1, density=0.1)
    layers = len(plain.layout.shapes)
    gains = torch.rand(3, layers, generator=torch.Generator().manual_seed(4)) + 0.5
    stack = dataclasses.replace(plain, gains=gains)
    names = list(plain.layout.shapes)
    for task in range(3):
        for place, name in enumerate(names):
            expected = plain.masks(task)[name] * gains[task, place]
            torch.testing.assert_close(stack.masks(task)[name], expected)
    alphas = torch.rand(2, 3, generator=torch.Generator().manual_seed(5))
    mixed = superpose(stack, alphas)
    for name in names:
        expected = torch.einsum(
            "bt,t...->b...", alphas, torch.stack([stack.masks(task)[name] for task in range(3)])
        )
        torch.testing.assert_close(mixed[name], expected)
    vectors = torch.randn(2, stack.layout.bytes * 8)
    bits = torch.stack([stack.layout.join(stack.masks(task)) for task in range(3)])
    torch.testing.assert_close(stack.products(vectors), vectors @ bits.T, rtol=1e-4, atol=1e-3)


def test_exhaustive_scores_are_those_of_each_mask_alone(network: nn.Module) -> None:
    stack = random_stack(layout_of(network), TASKS, seed=1)
    groups = images(3, 2)
    scores = infer_tasks(
        network, stack, groups, method="exhaustive", objective="R", real=real(), own=own()
    )
    for task in range(TASKS):
        logits = masked_forward(network, stack.masks(task), groups[1])
        p = logits.double().softmax(-1)
        mine = p[:, own()[task]].sum(-1)
        expected = (mine / (1 - mine)).log().mean().float()
        torch.testing.assert_close(scores[1, task], expected, rtol=1e-4, atol=1e-5)


def test_superpose_with_a_unit_vector_is_the_mask(network: nn.Module) -> None:
    stack = random_stack(layout_of(network), TASKS, seed=1)
    mixed = superpose(stack, torch.eye(TASKS)[2:3])
    for name, mask in stack.masks(2).items():
        assert torch.equal(mixed[name][0], mask)


@pytest.mark.parametrize("method", METHODS)
def test_r_without_superfluous_outputs_is_refused(method: Method) -> None:
    network = signed_constant(MultilayerPerceptron((784, 12, OUTPUTS)), seed=0)
    stack = random_stack(layout_of(network), 2, seed=1)
    everything = torch.ones(2, OUTPUTS, dtype=torch.bool)
    with pytest.raises(ValueError, match="superfluous"):
        infer_tasks(
            network,
            stack,
            images(1, 1),
            method=method,
            objective="R",
            real=everything[0],
            own=everything,
        )


def test_no_task_is_refused() -> None:
    network = signed_constant(MultilayerPerceptron((784, 12, OUTPUTS)), seed=0)
    empty = random_stack(layout_of(network), 1, seed=1)
    none = type(empty)(empty.packed[:0], empty.layout)
    with pytest.raises(ValueError, match="no task"):
        infer_tasks(
            network,
            none,
            images(1, 1),
            method="one-shot",
            objective="H",
            real=real(),
            own=own()[:0],
        )
