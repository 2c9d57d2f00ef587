"""Read a network trained elsewhere from a safetensors file, to be the frozen base."""

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from supsup_cli.core.networks.specs import kaiming_normal
from supsup_cli.errors import NoInputError, UsageError

Shapes = Mapping[str, tuple[int, ...]]

# Each task measures its own statistics under its own mask, so the file's are not used.
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")
_NAMED_AT_MOST = 5
# Turns a PyTorch checkpoint into a safetensors file.
CONVERT = (
    'python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('{source}', weights_only=True), 'net.safetensors')\""
)


@dataclass(frozen=True)
class Pretrained:
    """Weights by parameter name, float32, and the SHA-256 of their file."""

    weights: Mapping[str, NDArray[np.float32]]
    sha256: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class WeightsFile:
    """A safetensors file that is open.

    Attributes:
        shapes: name → shape of its tensors.
        tensor: reads one by its name.
        sha256: of the file, 64 hex digits.
    """

    shapes: Shapes
    tensor: Callable[[str], torch.Tensor]
    sha256: str


def read_pretrained(file: Path, shapes: Shapes, *, head: str | None, seed: int) -> Pretrained:
    """Read a network's weights; check every name and shape.

    Names are those of the network's parameters (PyTorch's state dict). Running statistics are left
    out. float16, bfloat16 and float64 become float32.

    Args:
        file: a safetensors file.
        shapes: parameter name → shape, of the architecture.
        head: the last layer's parameter, to draw it from the seed instead; the file's parameters of
            that layer are left out.
        seed: of that draw.

    Raises:
        NoInputError: the file cannot be read.
        UsageError: it is not a safetensors file, or its names, shapes, types or values are wrong.
    """
    with weights_in(file) as found:
        left_out = {name for name in found.shapes if name.endswith(_STATISTICS)}
        if head is not None:
            layer = head.rpartition(".")[0]
            left_out |= {name for name in found.shapes if name.rpartition(".")[0] == layer}
        asked = {name: shape for name, shape in shapes.items() if name != head}
        given = {name: shape for name, shape in found.shapes.items() if name not in left_out}
        _check(file, given, asked)
        weights = {name: values(str(file), name, found.tensor(name)) for name in asked}
    if head is not None:
        weights[head] = np.asarray(kaiming_normal(shapes[head], seed=seed, name=head))
    ordered = {name: weights[name] for name in shapes}
    return Pretrained(ordered, found.sha256, tuple(sorted(left_out)))


@contextmanager
def weights_in(file: Path) -> Iterator[WeightsFile]:
    """Open a safetensors file of somebody's weights.

    Raises:
        NoInputError: the file cannot be read.
        UsageError: it is not a safetensors file but cut short, a pickle, …; says how to convert it.
    """
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        with safe_open(file, framework="pt") as tensors:
            names = list(tensors.keys())
            shapes = {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
            yield WeightsFile(shapes, tensors.get_tensor, digest)
    except OSError as error:
        raise NoInputError(f"{file}: cannot be read ({error.strerror or error})") from error
    except SafetensorError as error:
        raise UsageError(
            f"{file}: not a safetensors file ({error}), expected a state dict saved as one",
            hint=CONVERT.format(source="net.pt"),
        ) from error


def _check(file: Path, found: Shapes, expected: Shapes) -> None:
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing or unknown:
        parts = [
            f"{len(names)} {what} ({listed(names)})"
            for what, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        raise UsageError(
            f"{file}: parameters {' and '.join(parts)}, expected the {len(expected)} of the "
            "architecture",
            hint="supsup init-base --help lists --arch; a network with affine normalisation needs "
            "resnet18-affine or resnet50-affine, biases have no place",
        )
    different = [name for name in expected if found[name] != expected[name]]
    if different:
        shown = "; ".join(
            f"{name}: shape {list(found[name])} found, expected {list(expected[name])}"
            for name in different[:_NAMED_AT_MOST]
        )
        raise UsageError(
            f"{file}: {shown}",
            hint="--new-head draws the last layer from the seed; --outputs, --input and --arch "
            "decide the other shapes",
        )


def listed(names: list[str]) -> str:
    """List the first few names, quoted."""
    more = f", and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(map(shlex.quote, names[:_NAMED_AT_MOST])) + more


def values(file: str, name: str, tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a tensor of a file as float32.

    Raises:
        UsageError: it has no floating-point numbers, or infinity or NaN.
    """
    if not tensor.is_floating_point():
        raise UsageError(f"{file}: {name} of {tensor.dtype} found, expected floating-point numbers")
    values = tensor.to(torch.float32)
    if not bool(values.isfinite().all()):
        raise UsageError(f"{file}: {name} has infinity or NaN, expected finite numbers")
    return values.contiguous().numpy()
