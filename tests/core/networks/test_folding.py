"""Normalisation folded into convolutions: the same features and names; masks that still fit."""

import pytest
import torch
from torch import nn

from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.adapter import base_tensors, maskable_parameters
from supsup_cli.core.networks.folding import fold_normalisation
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze
from tests.support.trained import library_network


def _network(name: str) -> nn.Module:
    """Return a library's network with statistics that change its values."""
    network = build_network(NetworkSpec(f"torchvision/{name}", (3, 64, 64), 10))
    state = library_network(name).state_dict()
    stream = torch.Generator().manual_seed(0)
    for key, one in state.items():
        if "running" in key:
            one.uniform_(0.5, 1.5, generator=stream)
    freeze(network, {key: state[key].numpy() for key in base_tensors(network)}, torch.device("cpu"))
    return network


@pytest.mark.parametrize(
    ("name", "folded"), [("mobilenet_v3_small", 34), ("shufflenet_v2_x0_5", 56), ("vgg11", 0)]
)
def test_features_and_masked_features_stay(name: str, folded: int) -> None:
    plain, network = _network(name), _network(name)
    assert fold_normalisation(network) == folded
    assert maskable_parameters(network) == maskable_parameters(plain)
    images = torch.rand(2, 3, 64, 64)
    masks = {
        key: (torch.rand(plain.get_parameter(key).shape) < 0.9).float()
        for key in maskable_parameters(plain)[-5:]
    }
    for some in ({}, masks):
        expected = masked_forward(plain, some, images)
        found = masked_forward(network, some, images)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert fold_normalisation(network) == 0


class _Shared(nn.Module):
    """A convolution that feeds two layers, and one that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.one(images)
        values = values + self.first(values)
        twice: torch.Tensor = self.second(self.two(self.two(values)))
        return twice


def test_what_others_need_as_well_is_left_alone() -> None:
    network = _Shared().eval().requires_grad_(False)
    assert fold_normalisation(network) == 0
