"""Make a base of a network of torchvision or timm: find it, its record and its weights."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from bank_format.encoding.sealed import Tensor
from bank_format.kinds.bank_json import BankSpec, InputRecord, ParameterRecord
from supsup_cli.core.networks.adapter import base_tensors
from supsup_cli.core.networks.library import (
    INSTALL_TIMM,
    TORCHVISION,
    ExpectedInput,
    LibraryMissingError,
    expected_input,
    in_library,
    torchvision_names,
)
from supsup_cli.core.networks.specs import (
    NetworkSpec,
    build_network,
    is_own,
    masked_parameters,
    masking_of,
)
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.bank.library_weights import (
    LibraryWeights,
    folder_input,
    read_library_file,
    weights_file,
)
from supsup_cli.workflows.bank.published_weights import fetch_published
from supsup_cli.workflows.bank.requests import IMAGENET, BaseRequest
from supsup_cli.workflows.reporting import Reporter

# Names that mean supsup's own network without --weights, and torchvision's with it.
_SHARED_NAMES = ("resnet18", "resnet50")
_AFFINE_WEIGHT = "bn1.weight"
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class LibraryBase:
    """A base from a library: its record, its tensors as stored, and unused names of its file."""

    spec: BankSpec
    tensors: Mapping[str, Tensor]
    left_over: tuple[str, ...]


def library_arch(request: BaseRequest) -> str | None:
    """Return which library network was meant, as bank.json writes it; None for supsup's own.

    With weights, `resnet18` and `resnet50` mean torchvision's, unless the file has no scales of
    normalisation layers, which torchvision's networks need.
    """
    arch = request.arch
    if in_library(arch):
        return arch
    if arch in _SHARED_NAMES and request.weights is not None:
        return None if _lacks_scales(request.weights) else TORCHVISION + arch
    if is_own(arch) or arch not in torchvision_names():
        return None
    return TORCHVISION + arch


def library_base(arch: str, request: BaseRequest, reporter: Reporter) -> LibraryBase:
    """Make the record of a library's network, and take its weights.

    Args:
        arch: torchvision/NAME or timm/NAME.
        request: what was asked for.
        reporter: gets a note of what was taken, drawn and left over.

    Raises:
        NoInputError, UsageError: see `init_base`.
    """
    given = request.weights
    if given is None:
        raise UsageError(
            f"--arch {arch}: a network of a library without --weights found, expected its weights",
            hint=f"supsup init-base --arch {arch} --weights imagenet",
        )
    if request.init or request.new_head:
        found = f"--init {request.init}" if request.init else "--new-head"
        raise UsageError(
            f"{found} with --arch {arch}: nothing of it is drawn, every task brings a last layer"
        )
    outputs = request.real_outputs if request.outputs is None else request.outputs
    if not 1 <= request.real_outputs <= outputs:
        raise UsageError(
            f"--real-outputs {request.real_outputs} with --outputs {outputs}: expected "
            "1 ≤ real outputs ≤ outputs"
        )
    try:
        expected = folder_input(given, expected_input(arch))
        shape = _shape(arch, request.input_shape, expected)
        network = build_network(NetworkSpec(arch, shape, outputs))
    except LibraryMissingError as error:
        raise NoInputError(str(error), hint=INSTALL_TIMM) from error
    except (ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(str(error).splitlines()[0], hint="supsup init-base --help") from error
    shapes = {name: tuple(one.shape) for name, one in base_tensors(network).items()}
    read = _read(arch, given, shapes)
    reporter.note(_told(given, read))
    masked = masked_parameters(network)
    spec = BankSpec(
        arch=arch,
        masking=masking_of(network),
        init="weights",
        seed=request.seed,
        input=InputRecord(shape, "cover-bilinear", expected.mean, expected.std),
        outputs=outputs,
        real_outputs=request.real_outputs,
        # The format has no parameters without a dimension.
        parameters=tuple(
            ParameterRecord(name, one or (1,), name in masked) for name, one in shapes.items()
        ),
        weights_sha256=read.sha256,
    )
    tensors = {
        f"weights/{name}": one.reshape(one.shape or (1,)) for name, one in read.weights.items()
    }
    return LibraryBase(spec, tensors, read.left_over)


def _shape(
    arch: str, asked: tuple[int, int, int] | None, expected: ExpectedInput
) -> tuple[int, int, int]:
    if asked is None:
        return expected.shape
    if expected.fixed and asked != expected.shape:
        found, wanted = ("x".join(map(str, one)) for one in (asked, expected.shape))
        raise ValueError(f"--input {found}: {arch} takes images of {wanted} alone")
    return asked


def _read(arch: str, given: Path, shapes: Mapping[str, tuple[int, ...]]) -> LibraryWeights:
    if given == IMAGENET:
        return fetch_published(arch, shapes)
    return read_library_file(weights_file(given), shapes)


def _told(given: Path, read: LibraryWeights) -> str:
    names = ", ".join(read.left_over[:_NAMED_AT_MOST])
    more = ", …" if len(read.left_over) > _NAMED_AT_MOST else ""
    rest = f"{len(read.left_over)} left over ({names}{more})" if names else "none left over"
    return f"{given}: {len(read.weights)} tensors taken, none drawn, {rest}"


def _lacks_scales(given: Path) -> bool:
    """Return whether a file is whole and its network normalises without scales."""
    if given == IMAGENET:
        return False
    with (
        suppress(OSError, SafetensorError, NoInputError),
        safe_open(weights_file(given), framework="np") as tensors,
    ):
        return _AFFINE_WEIGHT not in set(tensors.keys())
    return False
