"""bank.json: its content, as canonical JSON with its own digest; a bank's first file to read.

Records are frozen values that check themselves: they refuse what the format does not allow with a
ValueError, and the reader of a file adds its name. `strict_json` turns records into JSON and back.
See `task_records` for the content of task files.
"""

import hashlib
import math
from dataclasses import dataclass, field, fields
from typing import Final, Literal, TypeAlias

from bank_format.encoding.bits import packed_size
from bank_format.encoding.canonical_json import canonical, parse_canonical
from bank_format.encoding.damage import damage
from bank_format.encoding.strict_json import OMITTED, from_json, to_json
from bank_format.errors import NewerFormatError
from bank_format.names import check_digest, check_parameter_name, check_text

__all__ = [
    "BANK_FILE_LIMIT",
    "FORMAT_VERSION",
    "INITS",
    "BankRecord",
    "BankSpec",
    "Init",
    "InputRecord",
    "ParameterRecord",
    "build_bank_file",
    "parse_bank_file",
]

FORMAT_VERSION: Final = 1  # of bank.json and base.safetensors
Init: TypeAlias = Literal["signed-constant", "kaiming-normal", "weights"]
# Those decided by a seed; "weights" come from a file.
INITS: Final[tuple[Init, ...]] = ("signed-constant", "kaiming-normal")
MOST_PARAMETERS = 10_000
MOST_WEIGHTS = 2**33
BANK_FILE_LIMIT = 8 * 2**20  # bytes
_FORMAT: Literal["supsup-bank"] = "supsup-bank"
_HINT = "restore the file from a copy"


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """One parameter of the network: its shape, (outputs, inputs, …), and whether masks cover it."""

    name: str
    shape: tuple[int, ...]
    masked: bool

    def __post_init__(self) -> None:
        check_parameter_name(self.name)
        if not 1 <= len(self.shape) <= 8 or min(self.shape) < 1 or self.count > MOST_WEIGHTS:
            raise ValueError(
                f"{self.name}: shape {list(self.shape)} found, expected 1 to 8 dimensions of at "
                f"least 1 and at most {MOST_WEIGHTS} weights"
            )

    @property
    def count(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class InputRecord:
    """How an image becomes the network's input.

    Args:
        shape: (channels, height, width); 1 channel is grey, 3 are red, green, blue.
        resize: "cover-bilinear": scale until the image covers the input, cut the middle out.
        mean: per channel, of pixels scaled to 0..1; subtracted.
        std: per channel, above 0; divided by.
    """

    shape: tuple[int, int, int]
    resize: Literal["cover-bilinear"]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or max(self.shape) > 65_536:
            raise ValueError(f"input shape {list(self.shape)} found, expected each in 1..65536")
        if not len(self.mean) == len(self.std) == self.shape[0]:
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} stds found, "
                f"expected one for each of {self.shape[0]} channels"
            )
        if not all(map(math.isfinite, self.mean)):
            raise ValueError(f"mean {list(self.mean)} found, expected finite numbers")
        if not all(math.isfinite(value) and value > 0 for value in self.std):
            raise ValueError(f"std {list(self.std)} found, expected finite numbers above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class BankSpec:
    """The description of a base network; with the weights it decides base_sha256.

    Args:
        arch: the architecture's name, as for `init-base --arch`.
        masking: what a mask's bits stand for: weights ("edges") or units' outputs ("units").
        init: where the weights come from.
        seed: of the weights, 0 <= seed < 2**63.
        input: how images enter.
        outputs: number of outputs, including superfluous ones.
        real_outputs: outputs below this one may stand for classes.
        parameters: all parameters in the network's order, which is that of a mask's bits.
        weights_sha256: of the file that the weights came from, if init is "weights"; else "".
    """

    arch: str
    masking: Literal["edges", "units"]
    init: Init
    seed: int
    input: InputRecord
    outputs: int
    real_outputs: int
    parameters: tuple[ParameterRecord, ...]
    weights_sha256: str = field(default="", metadata=OMITTED)

    def __post_init__(self) -> None:
        check_text(self.arch)
        if (self.init == "weights") != bool(self.weights_sha256):
            raise ValueError(
                f"init {self.init!r} and weights_sha256 {self.weights_sha256[:80]!r} found, "
                "expected a digest if init is 'weights' and only then"
            )
        if self.weights_sha256:
            check_digest(self.weights_sha256)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed} found, expected 0 <= seed < 2**63")
        if not 1 <= self.real_outputs <= self.outputs:
            raise ValueError(
                f"{self.real_outputs} real outputs of {self.outputs} found, expected 1 to all"
            )
        if not 1 <= len(self.parameters) <= MOST_PARAMETERS:
            raise ValueError(
                f"{len(self.parameters)} parameters found, expected 1 to {MOST_PARAMETERS}"
            )
        if len({parameter.name for parameter in self.parameters}) != len(self.parameters):
            raise ValueError("two parameters of one name found, expected distinct names")
        if not self.masked:
            raise ValueError("no masked parameter found, expected at least one")
        if self.weights > MOST_WEIGHTS:
            raise ValueError(f"{self.weights} weights found, expected at most {MOST_WEIGHTS}")

    @property
    def masked(self) -> tuple[ParameterRecord, ...]:
        """The parameters that masks cover, in the spec's order."""
        return tuple(parameter for parameter in self.parameters if parameter.masked)

    @property
    def weights(self) -> int:
        """Number of weights of all parameters, masked or not."""
        return sum(parameter.count for parameter in self.parameters)

    @property
    def mask_bytes(self) -> int:
        """Bytes of one task's packed masks, each parameter beginning on a byte."""
        return sum(packed_size(parameter.count) for parameter in self.masked)


@dataclass(frozen=True, slots=True, kw_only=True)
class BankRecord(BankSpec):
    """The content of bank.json: the spec, and the digest of the base network."""

    format: Literal["supsup-bank"] = "supsup-bank"
    version: Literal[1] = FORMAT_VERSION
    kind: Literal["base"] = "base"
    base_sha256: str

    def __post_init__(self) -> None:
        # A slotted dataclass is a copy of its class, so the short form of super() does not work.
        BankSpec.__post_init__(self)
        check_digest(self.base_sha256)

    @property
    def spec(self) -> BankSpec:
        """The spec alone."""
        return BankSpec(**{one.name: getattr(self, one.name) for one in fields(BankSpec)})


def build_bank_file(record: BankRecord) -> bytes:
    """Write bank.json.

    Raises:
        ValueError: a value of a type that a reader would refuse.
    """
    value = to_json(record)
    from_json(BankRecord, value)
    if not isinstance(value, dict):
        raise ValueError("a record that is no JSON object")
    return canonical({**value, "sha256": _digest(canonical(value))}) + b"\n"


def parse_bank_file(data: bytes, name: str) -> BankRecord:
    """Read bank.json, checked in full.

    Raises:
        DamagedError: it is not what `build_bank_file` writes.
        NewerFormatError: a version or kind this reader does not know.
    """
    with damage(name, "I3", hint=_HINT):
        if data[-1:] != b"\n":
            raise ValueError("no final newline")
        value = parse_canonical(data[:-1])
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
    with damage(name, "I2", hint=_HINT):
        stated = value.pop("sha256", None)
        digest = _digest(canonical(value))
        if stated != digest:
            raise ValueError(f"sha256 {str(stated)[:16]} found, expected {digest[:16]}…")
    with damage(name, "I4", hint=_HINT):
        version, kind = value.get("version"), value.get("kind")
        if value.get("format") != _FORMAT or type(version) is not int or version < 1:
            raise ValueError(f"format and version are not {_FORMAT!r} and a number from 1 on")
    if version > FORMAT_VERSION or kind != "base":
        raise NewerFormatError(
            f"{name}: kind {str(kind)[:40]!r} version {version} found, "
            f"this supsup reads 'base' up to version {FORMAT_VERSION}",
            hint="pip install --upgrade supsup",
            invariant="I4",
        )
    with damage(name, "I5", hint=_HINT):
        return from_json(BankRecord, value)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text + b"\n").hexdigest()
