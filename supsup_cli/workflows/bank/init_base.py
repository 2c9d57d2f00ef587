"""`init-base`: create a bank with its seeded, frozen base network."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.encoding.sealed import Tensor
from bank_format.kinds.bank_json import INITS, BankSpec, InputRecord, ParameterRecord
from bank_format.kinds.seeded import signed_constant_tensors
from bank_format.store.layout import BANK_FILE, BASE_FILE
from supsup_cli.core.networks.specs import (
    AFFINE,
    NetworkSpec,
    build_network,
    kaiming_normal,
    masked_parameters,
    masking_of,
)
from supsup_cli.errors import UsageError
from supsup_cli.workflows.bank.pretrained import read_pretrained
from supsup_cli.workflows.reporting import Reporter, Silent
from supsup_cli.workflows.results.bank import InitResult

# Grey: of MNIST's training images. Colour: of ImageNet's. Both are what published networks expect.
_STATISTICS = {1: ((0.1307,), (0.3081,)), 3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}

_SILENT = Silent()


@dataclass(frozen=True)
class BaseRequest:
    """What the user asks the base network to be.

    Attributes:
        arch: see `build_network`.
        input_shape: (C, H, W).
        outputs: superfluous ones included.
        real_outputs: those that may be classes.
        seed: of whatever is drawn.
        init: how weights are drawn, "" for signed-constant or where `weights` has them.
        weights: safetensors file of a network trained elsewhere; None draws the weights.
        new_head: whether the last layer is drawn although there are weights.
    """

    arch: str
    input_shape: tuple[int, int, int]
    outputs: int
    real_outputs: int
    seed: int
    init: str
    weights: Path | None = None
    new_head: bool = False


def init_base(path: Path, request: BaseRequest, reporter: Reporter = _SILENT) -> InitResult:
    """Create a bank, or find the equal one that is there.

    Raises:
        NoInputError: the file of weights cannot be read.
        UsageError: its weights are of another network; an unknown architecture, or numbers that no
            network can have.
        BankError: the folder holds something else, or cannot be written.
    """
    spec = bank_spec(request)
    tensors: Mapping[str, Tensor]
    if request.weights is not None:
        spec, tensors = _pretrained(spec, request, request.weights, reporter)
    elif spec.init == "signed-constant":
        tensors = signed_constant_tensors(spec.seed, spec.parameters)
    else:
        tensors = {
            f"weights/{one.name}": np.asarray(
                kaiming_normal(one.shape, seed=spec.seed, name=one.name)
            )
            for one in spec.parameters
        }
    bank, created = Bank.create(path, spec, tensors)
    return InitResult(
        bank=str(path),
        status="created" if created else "exists",
        arch=spec.arch,
        parameters=spec.weights,
        outputs=spec.outputs,
        seed=spec.seed,
        base_sha256=bank.record.base_sha256,
        bytes=sum((path / name).stat().st_size for name in (BANK_FILE, BASE_FILE)),
    )


def bank_spec(request: BaseRequest) -> BankSpec:
    """Turn a request into the record of the network, every parameter with its shape.

    Raises:
        UsageError: see `init_base`.
    """
    if request.weights is None and (request.new_head or request.arch.endswith(AFFINE)):
        found = "--new-head" if request.new_head else f"--arch {request.arch}"
        raise UsageError(f"{found} without --weights, expected the file of a trained network")
    if request.weights is not None and request.init:
        raise UsageError(f"--init {request.init} with --weights, expected one of the two")
    channels = request.input_shape[0]
    if channels not in _STATISTICS:
        raise UsageError(f"--input: {channels} channels found, expected 1 (grey) or 3 (colour)")
    wanted = request.init or INITS[0]
    init = next((one for one in INITS if one == wanted), None)
    if init is None:
        raise UsageError(f"--init {request.init}: expected {' or '.join(INITS)}")
    if not 1 <= request.real_outputs <= request.outputs:
        raise UsageError(
            f"--real-outputs {request.real_outputs} with --outputs {request.outputs}: expected "
            "1 ≤ real outputs ≤ outputs"
        )
    try:
        network = build_network(NetworkSpec(request.arch, request.input_shape, request.outputs))
        masked = masked_parameters(network)
        mean, std = _STATISTICS[channels]
        return BankSpec(
            arch=request.arch,
            masking=masking_of(network),
            init=init,
            seed=request.seed,
            input=InputRecord(request.input_shape, "cover-bilinear", mean, std),
            outputs=request.outputs,
            real_outputs=request.real_outputs,
            parameters=tuple(
                ParameterRecord(name, tuple(parameter.shape), name in masked)
                for name, parameter in network.named_parameters()
            ),
        )
    except (ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(str(error).splitlines()[0], hint="supsup init-base --help") from error


def _pretrained(
    spec: BankSpec, request: BaseRequest, file: Path, reporter: Reporter
) -> tuple[BankSpec, dict[str, NDArray[np.float32]]]:
    shapes = {one.name: one.shape for one in spec.parameters}
    head = spec.masked[-1].name if request.new_head else None
    read = read_pretrained(file, shapes, head=head, seed=request.seed)
    if read.left_out:
        reporter.note(f"{file}: left out {len(read.left_out)}: {', '.join(read.left_out[:3])}, …")
    named = dataclasses.replace(spec, init="weights", weights_sha256=read.sha256)
    return named, {f"weights/{name}": one for name, one in read.weights.items()}
