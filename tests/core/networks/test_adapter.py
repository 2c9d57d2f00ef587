"""Networks of torchvision as bases: built without memory, split, with their own logits."""

import pytest
import torch
from torch import nn

from supsup_cli.core.networks.adapter import (
    adapted,
    base_tensors,
    later_layers,
    maskable_parameters,
)
from supsup_cli.core.networks.head import find_head, head_values, pooled_features
from supsup_cli.core.networks.library import (
    ExpectedInput,
    expected_input,
    in_library,
    torchvision_names,
)
from supsup_cli.core.networks.parts import in_parts
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze, kind_of
from tests.support.trained import FAMILIES, SMALL_FAMILIES, library_network

_OUTPUTS = 20


def _spec(name: str) -> NetworkSpec:
    side = FAMILIES[name]
    return NetworkSpec(f"torchvision/{name}", (3, side, side), _OUTPUTS)


def _slow_unless(names: tuple[str, ...]) -> list[object]:
    return [
        name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES
    ]


@pytest.mark.parametrize(
    "name",
    [
        name if name in FAMILIES else pytest.param(name, marks=pytest.mark.slow)
        for name in torchvision_names()
    ],
)
def test_every_architecture_is_built_without_memory(name: str) -> None:
    arch = f"torchvision/{name}"
    expected = expected_input(arch)
    assert (expected.shape[0], len(expected.mean), len(expected.std)) == (3, 3, 3)
    network = adapted(arch, expected.shape)
    tensors = base_tensors(network)
    kept = sum(one.numel() for one in tensors.values() if one.device.type != "meta")
    assert kept < 0.05 * sum(one.numel() for one in tensors.values())
    names = maskable_parameters(network)
    masked = later_layers(names)
    assert names[-len(masked) :] == masked
    assert len(masked) == -(-len(names) // 4)
    assert not any(module.training for module in network.modules())
    assert find_head(network) is not None


def _adapted(name: str) -> tuple[nn.Module, nn.Module]:
    """Return torchvision's network with drawn weights, and ours with the same weights."""
    theirs = library_network(name, _OUTPUTS)
    ours = build_network(_spec(name))
    state = theirs.state_dict()
    freeze(
        ours,
        {key: state[key.removeprefix("body.")].numpy() for key in base_tensors(ours)},
        torch.device("cpu"),
    )
    return theirs, ours


def _classifier(theirs: nn.Module) -> nn.Module:
    found = [
        one
        for one in theirs.modules()
        if _OUTPUTS in (getattr(one, "out_features", 0), getattr(one, "out_channels", 0))
    ]
    return found[-1]


@pytest.mark.parametrize("name", _slow_unless(SMALL_FAMILIES))
def test_parts_give_the_bits_of_the_whole_and_the_logits_of_the_library(name: str) -> None:
    theirs, ours = _adapted(name)
    side = FAMILIES[name]
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    masked = later_layers(maskable_parameters(ours))
    parts = in_parts(ours, masked, images[:2])
    assert parts.below is not None
    lower = parts.lower(images)
    assert all(len(one) == 3 for one in lower)
    last = _classifier(theirs)
    rows = torch.arange(_OUTPUTS)
    head = head_values(ours, last.weight.flatten(1), last.bias, rows, _OUTPUTS)
    weights = {one: ours.get_parameter(one) for one in masked}
    with torch.no_grad():
        features = pooled_features(ours, images)
        assert torch.equal(parts.above(lower, weights), features)
        logits = parts.above(lower, weights | head)
        if name.startswith("squeezenet"):  # it classifies each position, and averages afterwards
            return
        assert torch.allclose(logits, theirs(images), rtol=1e-4, atol=1e-4)


def test_a_head_has_a_row_for_each_class_and_no_other_output() -> None:
    network = build_network(_spec("mobilenet_v3_small"))
    found = find_head(network)
    assert found is not None
    weight, bias = torch.ones(2, found[1].features), torch.tensor([0.5, 1.0])
    values = head_values(network, weight.half(), bias.half(), torch.tensor([3, 1]), 5)
    assert values[f"{found[0]}.bias"].tolist() == [-1e4, 1.0, -1e4, 0.5, -1e4]
    assert values[f"{found[0]}.weight"].sum(1).tolist() == [0, 1024, 0, 1024, 0]
    with pytest.raises(ValueError, match=r"head of \(2, 3\)"):
        head_values(network, torch.ones(2, 3), bias, torch.tensor([3, 1]), 5)
    own = build_network(NetworkSpec("mlp-4", (1, 8, 8), 5))
    with pytest.raises(ValueError, match="expected none"):
        head_values(own, weight, bias, torch.tensor([0, 1]), 5)


def test_features_of_any_network_are_what_its_last_layer_is_given() -> None:
    network = build_network(NetworkSpec("mlp-4", (1, 2, 2), 3))
    weights = {name: torch.ones(one.shape).numpy() for name, one in network.named_parameters()}
    freeze(network, weights, torch.device("cpu"))
    assert pooled_features(network, torch.ones(2, 1, 2, 2)).tolist() == [[4.0] * 4] * 2


@pytest.mark.parametrize(
    ("arch", "shape", "reason"),
    [
        ("torchvision/resnet99", (3, 64, 64), "no such network in torchvision"),
        ("torchvision/mobilenet_v2", (1, 64, 64), "1 channels found, expected 3"),
        ("torchvision/inception_v3", (3, 32, 32), "takes no images of 32 x 32 pixels"),
        ("torchvision/fcn_resnet50", (3, 64, 64), "no such network in torchvision"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(
    arch: str, shape: tuple[int, int, int], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        adapted(arch, shape)


def test_kinds_and_names() -> None:
    assert kind_of(build_network(_spec("squeezenet1_1"))) == "trained"
    assert in_library("timm/resnet18")
    assert not in_library("resnet18")
    assert expected_input("torchvision/vit_b_16") == ExpectedInput(fixed=True)
