"""Features of random convolution nets: pooled maps, and a whitening that needs only the base."""

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.core.networks.convolution import Convolution4
from supsup_cli.core.networks.specs import (
    NetworkSpec,
    build_network,
    freeze,
    kaiming_normal,
)
from supsup_cli.core.signatures.features import first_layer
from supsup_cli.core.signatures.maps import (
    PooledMaps,
    WhitenedMaps,
    reference_images,
    whitening_of,
)


def _network(arch: str = "conv-4", side: int = 16) -> nn.Module:
    network = build_network(NetworkSpec(arch, (1, side, side), 20))
    weights = {
        name: np.asarray(kaiming_normal(tuple(one.shape), seed=0, name=name))
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    return network


def _images(count: int, side: int = 16) -> Tensor:
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(0))


def test_they_are_what_plain_convolutions_without_normalisation_give() -> None:
    network, images = _network(), _images(7)
    assert isinstance(network, Convolution4)
    values, parts = images, []
    for convolve in network.convolutions:
        values = F.relu(convolve(values))
        parts += [values.mean((2, 3)), values.flatten(2).var(2, correction=0).sqrt()]
    half = values.shape[2] // 2
    for rows in (slice(None, half), slice(half, None)):
        for columns in (slice(None, half), slice(half, None)):
            parts.append(values[:, :, rows, columns].mean((2, 3)))
    expected = torch.cat(parts, 1).sqrt()
    maps = PooledMaps(network)
    assert expected.shape == (7, maps.size) == (7, 640)
    torch.testing.assert_close(maps(images), expected, rtol=1e-4, atol=1e-3)


def test_looking_leaves_the_network_as_it_was() -> None:
    network, images = _network(), _images(3)
    before = {name: one.clone() for name, one in network.state_dict().items()}
    logits = network(images)
    PooledMaps(network)(images)
    assert torch.equal(network(images), logits)
    for name, one in network.state_dict().items():
        assert torch.equal(one, before[name])


def test_a_task_s_statistics_do_not_matter_and_neighbours_do_not() -> None:
    network, images = _network(), _images(40)
    maps = PooledMaps(network)
    found = maps(images)
    for module in network.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.fill_(3)
            module.running_var.fill_(7)
    assert torch.equal(maps(images), found)
    for place in (0, 39):
        alone = maps(images[place : place + 1])[0]
        torch.testing.assert_close(alone, found[place], rtol=1e-4, atol=1e-4)


def test_of_larger_networks_so_many_maps_are_taken() -> None:
    network = _network("gem-resnet18", 16)
    maps = PooledMaps(network)
    found = maps(_images(2))
    assert found.shape == (2, 640)
    assert bool(found.isfinite().all())
    assert float(found.std(1).min()) > 0


def test_whitening_makes_what_it_was_made_of_uncorrelated() -> None:
    stream = torch.Generator().manual_seed(1)
    values = torch.randn(3000, 12, generator=stream) @ torch.randn(12, 12, generator=stream) + 4
    mean, matrix = whitening_of(values)
    exact = values.double().numpy()
    covariance = np.cov(exact.T)
    ridge = np.trace(covariance) / 12 / 100
    inverse = matrix.double().numpy() @ matrix.double().numpy()
    np.testing.assert_allclose(inverse @ (covariance + ridge * np.eye(12)), np.eye(12), atol=1e-3)
    torch.testing.assert_close(matrix, matrix.T)
    squares, axes = np.linalg.eigh(covariance)
    turned = ((values - mean) @ matrix).double().numpy() @ axes
    # 1, except in directions with almost no variance, which are not amplified
    np.testing.assert_allclose(np.cov(turned.T), np.diag(squares / (squares + ridge)), atol=1e-4)


def test_reference_images_are_uncorrelated_in_the_features_of_the_base() -> None:
    network = _network()
    maps = PooledMaps(network)
    images = torch.from_numpy(reference_images((1, 16, 16))[:800]).float() / 255 - 0.5
    mean, matrix = whitening_of(maps(images))
    features = WhitenedMaps(maps, mean, matrix)
    assert features.size == 640
    exact = maps(images).double().numpy()
    squares, axes = np.linalg.eigh(np.cov(exact.T))
    wide = squares > 10 * squares.mean()
    found = np.cov(features(images).double().numpy() @ axes[:, wide], rowvar=False)
    assert wide.sum() >= 5
    np.testing.assert_allclose(found, np.eye(wide.sum()), atol=2e-3)


def test_a_feature_that_never_changes_stays_finite() -> None:
    values = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    values[:, 2] = 5
    _, matrix = whitening_of(values)
    assert bool(matrix.isfinite().all())


@pytest.mark.parametrize(
    ("shape", "count", "digest"),
    [
        ((1, 16, 16), 2000, "f95b532f63da835f"),
        ((3, 32, 32), 2000, "3c1f27db77730464"),
        ((3, 96, 96), 320, "d8e339990a2023b8"),
    ],
)
def test_reference_images_are_the_same_for_ever(
    shape: tuple[int, int, int], count: int, digest: str
) -> None:
    images = reference_images(shape)
    assert images.shape == (count, *shape)
    assert images.dtype == np.uint8
    # Floating-point rounding may differ between processors; the 255 levels hardly ever do.
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == digest
    assert 60 < images.mean() < 200
    assert images.std((1, 2, 3)).min() > 5


@pytest.mark.parametrize(("units", "size"), [(20, 20), (300, 300), (301, 256), (400, 256)])
def test_a_perceptron_s_features_are_its_first_units_before_any_activation(
    units: int, size: int
) -> None:
    network = build_network(NetworkSpec(f"mlp-{units}-10", (1, 4, 4), 20))
    weights = {
        name: np.asarray(kaiming_normal(tuple(one.shape), seed=0, name=name))
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    features = first_layer(network)
    assert features is not None
    images = _images(5, 4)
    expected = images.flatten(1).numpy() @ next(iter(weights.values())).T
    assert features.size == size
    np.testing.assert_allclose(features(images), expected[:, :size], rtol=1e-4, atol=1e-5)
    assert first_layer(_network()) is None
