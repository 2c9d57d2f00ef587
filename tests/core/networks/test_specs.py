import numpy as np
import pytest
import torch

from supsup_cli.core.networks.specs import (
    NetworkSpec,
    build_network,
    freeze,
    kaiming_normal,
    masked_parameters,
)


@pytest.mark.parametrize(
    ("arch", "outputs", "weights"),
    [
        ("lenet-300-100", 100, 275_200),
        ("lenet-300-100", 500, 315_200),
        ("fc-1024-1024", 500, 2_363_392),
        ("mlp-7", 20, 784 * 7 + 7 * 20),
        ("mlp-30-20-10", 25, 784 * 30 + 30 * 20 + 20 * 10 + 10 * 25),
    ],
)
def test_weights_are_counted_as_in_the_paper(arch: str, outputs: int, weights: int) -> None:
    network = build_network(NetworkSpec(arch, (1, 28, 28), outputs))
    assert sum(parameter.numel() for parameter in network.parameters()) == weights
    assert set(masked_parameters(network)) == {name for name, _ in network.named_parameters()}


@pytest.mark.parametrize("arch", ["", "lenet", "mlp", "mlp-", "mlp-0", "mlp-10-", "mlp-1e9", "x"])
def test_unknown_architectures_are_refused_with_the_known_ones(arch: str) -> None:
    with pytest.raises(ValueError, match="lenet-300-100"):
        build_network(NetworkSpec(arch, (1, 28, 28), 10))


def test_a_frozen_network_has_its_weights_and_takes_no_gradient() -> None:
    spec = NetworkSpec("mlp-3", (1, 2, 2), 5)
    network = build_network(spec)
    weights = {
        name: np.full(tuple(parameter.shape), 0.5, dtype=np.float32)
        for name, parameter in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network(torch.ones(1, 1, 2, 2)).tolist() == [[3.0] * 5]
    with pytest.raises(RuntimeError):
        freeze(build_network(spec), {"layers.0.weight": np.zeros((3, 4), np.float32)},
               torch.device("cpu"))  # fmt: skip


def test_kaiming_normal_has_its_deviation_and_its_own_stream() -> None:
    one = kaiming_normal((300, 400), seed=0, name="a")
    assert abs(float(one.std()) - (2 / 400) ** 0.5) < 1e-3
    assert torch.equal(one, kaiming_normal((300, 400), seed=0, name="a"))
    assert not torch.equal(one, kaiming_normal((300, 400), seed=0, name="b"))
