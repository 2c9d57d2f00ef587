"""`init-base`: create a bank with its frozen base network, seeded or trained elsewhere."""

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
from supsup_cli.choices import check_choice
from supsup_cli.core.networks.specs import (
    AFFINE,
    NetworkSpec,
    build_network,
    kaiming_normal,
    masked_parameters,
    masking_of,
)
from supsup_cli.errors import UsageError
from supsup_cli.workflows.bank.library_base import library_arch, library_base
from supsup_cli.workflows.bank.pretrained import read_pretrained
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.reporting import Reporter, Silent
from supsup_cli.workflows.results.bank import InitResult

# Grey: of MNIST's training images; colour: of ImageNet's. Published networks expect these.
_STATISTICS = {1: ((0.1307,), (0.3081,)), 3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}

_SILENT = Silent()


@dataclass(frozen=True)
class _Base:
    """A base about to be written.

    Attributes:
        spec: its network and input.
        tensors: as `Bank.create` takes them.
        drawn: number of tensors from the seed.
        left_over: names of unused tensors in the file of weights.
    """

    spec: BankSpec
    tensors: Mapping[str, Tensor]
    drawn: int
    left_over: tuple[str, ...] = ()


def init_base(path: Path, request: BaseRequest, reporter: Reporter = _SILENT) -> InitResult:
    """Create a bank, or find the equal one that is there.

    Raises:
        NoInputError: the weights cannot be read or fetched, or the network's library is missing.
        UsageError: the weights belong to another network, the architecture is unknown, or numbers
            are impossible.
        BankError: the folder holds something else, or cannot be written.
    """
    base = _base(request, reporter)
    bank, created = Bank.create(path, base.spec, base.tensors)
    count = len(base.spec.parameters)
    return InitResult(
        bank=str(path),
        status="created" if created else "exists",
        arch=base.spec.arch,
        parameters=base.spec.weights,
        outputs=base.spec.outputs,
        seed=base.spec.seed,
        base_sha256=bank.record.base_sha256,
        bytes=sum((path / name).stat().st_size for name in (BANK_FILE, BASE_FILE)),
        taken=count - base.drawn,
        drawn=base.drawn,
        left_over=base.left_over,
    )


def _base(request: BaseRequest, reporter: Reporter) -> _Base:
    arch = library_arch(request)
    if arch is not None:
        made = library_base(arch, request, reporter)
        return _Base(made.spec, made.tensors, 0, made.left_over)
    spec = bank_spec(request)
    if request.weights is not None:
        return _pretrained(spec, request, request.weights, reporter)
    if spec.init == "signed-constant":
        seeded = signed_constant_tensors(spec.seed, spec.parameters)
        return _Base(spec, seeded, len(spec.parameters))
    drawn = {
        f"weights/{one.name}": np.asarray(kaiming_normal(one.shape, seed=spec.seed, name=one.name))
        for one in spec.parameters
    }
    return _Base(spec, drawn, len(drawn))


def bank_spec(request: BaseRequest) -> BankSpec:
    """Turn a request into the record of one of supsup's networks, every parameter with its shape.

    Raises:
        UsageError: see `init_base`.
    """
    if request.weights is None and (request.new_head or request.arch.endswith(AFFINE)):
        found = "--new-head" if request.new_head else f"--arch {request.arch}"
        raise UsageError(f"{found} without --weights, expected the file of a trained network")
    if request.weights is not None and request.init:
        raise UsageError(f"--init {request.init} with --weights, expected one of the two")
    shape, outputs = request.own_shape, request.own_outputs
    if shape[0] not in _STATISTICS:
        raise UsageError(f"--input: {shape[0]} channels found, expected 1 (grey) or 3 (colour)")
    wanted = request.init or INITS[0]
    check_choice("--init", wanted, INITS)
    init = next(one for one in INITS if one == wanted)
    if not 1 <= request.real_outputs <= outputs:
        raise UsageError(
            f"--real-outputs {request.real_outputs} with --outputs {outputs}: expected "
            "1 ≤ real outputs ≤ outputs"
        )
    try:
        network = build_network(NetworkSpec(request.arch, shape, outputs))
        masked = masked_parameters(network)
        mean, std = _STATISTICS[shape[0]]
        return BankSpec(
            arch=request.arch,
            masking=masking_of(network),
            init=init,
            seed=request.seed,
            input=InputRecord(shape, "cover-bilinear", mean, std),
            outputs=outputs,
            real_outputs=request.real_outputs,
            parameters=tuple(
                ParameterRecord(name, tuple(parameter.shape), name in masked)
                for name, parameter in network.named_parameters()
            ),
        )
    except (ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(str(error).splitlines()[0], hint="supsup init-base --help") from error


def _pretrained(spec: BankSpec, request: BaseRequest, file: Path, reporter: Reporter) -> _Base:
    shapes = {one.name: one.shape for one in spec.parameters}
    head = spec.masked[-1].name if request.new_head else None
    read = read_pretrained(file, shapes, head=head, seed=request.seed)
    if read.left_out:
        reporter.note(f"{file}: left out {len(read.left_out)}: {', '.join(read.left_out[:3])}, …")
    named = dataclasses.replace(spec, init="weights", weights_sha256=read.sha256)
    tensors: dict[str, NDArray[np.generic]] = {
        f"weights/{name}": one for name, one in read.weights.items()
    }
    return _Base(named, tensors, int(request.new_head), read.left_out)
