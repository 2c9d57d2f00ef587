"""Networks of torchvision and timm by name: how to build one, and what images it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from supsup_cli.choices import did_you_mean

TORCHVISION: Final = "torchvision/"
TIMM: Final = "timm/"
INSTALL_TIMM: Final = "pip install 'supsup[timm]'"

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIDE = 224
# torchvision networks with extra classifiers, used only for learning; they also undo the
# normalisation, because their published weights expect another one.
_BRANCHED = ("googlenet", "inception_v3")
_DISTANT = 10_007  # a number of classes that no layer has by chance


class LibraryMissingError(ValueError):
    """The network's library is not installed."""


@dataclass(frozen=True)
class ExpectedInput:
    """What a network's published weights expect of images.

    Attributes:
        shape: (3, H, W).
        mean: of each channel, pixels scaled to 0…1.
        std: likewise.
        fixed: whether the network takes no other size.
    """

    shape: tuple[int, int, int] = (3, _SIDE, _SIDE)
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    fixed: bool = False


class _WithoutMemory(TorchFunctionMode):
    """Put drawn parameters on the meta device; everything computed keeps its values.

    Layers make their parameters with `torch.empty`. If everything were on the meta device, tables
    such as Swin's positions would be lost, and RegNets compute their widths with tensors.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.empty:
            given["device"] = "meta"
        return func(*args, **given)


def in_library(arch: str) -> bool:
    """Return whether an architecture, as bank.json writes it, is torchvision's or timm's."""
    return arch.startswith((TORCHVISION, TIMM))


def torchvision_names() -> list[str]:
    """List torchvision's classification networks, sorted."""
    import torchvision

    return sorted(torchvision.models.list_models(module=torchvision.models))


def build(arch: str, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build a library's network with `distant_classes` outputs; its parameters take no memory.

    Raises:
        LibraryMissingError: timm is not installed.
        ValueError: there is no such network, or it takes no images of that size.
    """
    if arch.startswith(TIMM):
        name, timm = arch.removeprefix(TIMM), _timm(arch)
        if not timm.is_model(name):
            raise _no_such_network(arch, name, timm.list_models(), timm)
        with _WithoutMemory():
            made: nn.Module = timm.create_model(name, pretrained=False, num_classes=_DISTANT)
        return made
    import torchvision

    name = arch.removeprefix(TORCHVISION)
    if name not in torchvision_names():
        raise _no_such_network(arch, name, torchvision_names(), torchvision)
    own: dict[str, object] = {}
    if name in _BRANCHED:
        own = {"aux_logits": False, "init_weights": False, "transform_input": True}
    elif name.startswith("vit_"):
        own = {"image_size": input_shape[-1]}
    elif name.startswith("maxvit_"):
        own = {"input_size": input_shape[1:]}
    with _WithoutMemory():
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=_DISTANT, **own
        )
    return network


def distant_classes() -> int:
    """Return how many outputs `build` asks for, which identify the classifier."""
    return _DISTANT


def expected_input(arch: str) -> ExpectedInput:
    """Return what images a network's published weights were trained on.

    Raises:
        LibraryMissingError: timm is not installed.
        ValueError: there is no such network.
    """
    if arch.startswith(TIMM):
        return _of_timm(arch)
    import torchvision
    from torchvision import models

    name = arch.removeprefix(TORCHVISION)
    try:
        published = list(models.get_model_weights(name))
    except ValueError as error:
        raise _no_such_network(arch, name, torchvision_names(), torchvision) from error
    fixed = name.startswith(("vit_", "maxvit_"))
    if not published:
        return ExpectedInput(fixed=fixed)
    transform = models.get_model_weights(name).DEFAULT.transforms()
    (side,) = transform.crop_size
    mean, std = (tuple(map(float, one)) for one in (transform.mean, transform.std))
    return ExpectedInput((3, side, side), mean, std, fixed)


def _of_timm(arch: str) -> ExpectedInput:
    timm = _timm(arch)
    name = arch.removeprefix(TIMM)
    known = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if known is None:
        if not timm.is_model(name):
            raise _no_such_network(arch, name, timm.list_models(), timm)
        return ExpectedInput()
    _, height, width = known.input_size
    mean, std = (tuple(map(float, one)) for one in (known.mean, known.std))
    return ExpectedInput((3, height, width), mean, std, bool(known.fixed_input_size))


def _no_such_network(arch: str, name: str, known: list[str], library: Any) -> ValueError:
    guess = did_you_mean(name, known)
    return ValueError(f"{arch}: {guess}no such network in {library.__name__} {library.__version__}")


def _timm(arch: str) -> Any:
    try:
        import timm
    except ImportError as error:
        raise LibraryMissingError(
            f"{arch}: package {error.name} not found, expected timm"
        ) from error
    return timm
