"""`init-base`: create a bank with its seeded, frozen base network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bank_format.bank import Bank
from bank_format.layout import BANK_FILE, BASE_FILE
from bank_format.records import INITS, BankSpec, InputRecord, ParameterRecord
from bank_format.seeded import signed_constant_tensors
from supsup_cli.core.networks import NetworkSpec, build_network, kaiming_normal, masked_parameters
from supsup_cli.errors import UsageError
from supsup_cli.workflows.results.learning import InitResult

# Grey: of MNIST's training images. Colour: of ImageNet's. Both are what published networks expect.
_STATISTICS = {1: ((0.1307,), (0.3081,)), 3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}


@dataclass(frozen=True)
class BaseRequest:
    """What the user asks the base network to be; `input_shape` is (C, H, W)."""

    arch: str
    input_shape: tuple[int, int, int]
    outputs: int
    real_outputs: int
    seed: int
    init: str


def init_base(path: Path, request: BaseRequest) -> InitResult:
    """Create a bank, or find the equal one that is there.

    Raises:
        UsageError: an unknown architecture, or numbers that no network can have.
        BankError: the folder holds something else, or cannot be written.
    """
    spec = bank_spec(request)
    if request.init == "signed-constant":
        tensors = dict(signed_constant_tensors(spec.seed, spec.parameters))
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
    channels = request.input_shape[0]
    if channels not in _STATISTICS:
        raise UsageError(f"--input: {channels} channels found, expected 1 (grey) or 3 (colour)")
    init = next((one for one in INITS if one == request.init), None)
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
            masking="edges",
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
