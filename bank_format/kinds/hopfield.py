"""hopfield.safetensors: all masks of a bank as attractors of one symmetric matrix for each layer.

Only the part above the diagonal is stored, row by row, in float64. So every matrix is symmetric
with a zero diagonal, and takes the bytes of a full one in float32. Nothing is rounded when it is
written, so adding a task to a stored matrix gives the same bits as adding it to the one in memory.
For the same reason sums over the tasks are stored instead of means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import HEADER_LIMIT, Tensor, Tensors, read_sealed, seal
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import OtherBaseError
from bank_format.kinds.bank_json import BankRecord, BankSpec
from bank_format.kinds.base import check_kind
from bank_format.kinds.task_metadata import check_content_sha256, content_sha256
from bank_format.names import check_digest, is_task_name

__all__ = [
    "RULES",
    "Attractors",
    "HopfieldContent",
    "PatternRecord",
    "Rule",
    "build_hopfield",
    "check_hopfield",
    "hopfield_limit",
    "parse_hopfield",
]

Rule: TypeAlias = Literal["storkey", "hebbian"]
RULES: Final[tuple[Rule, ...]] = ("storkey", "hebbian")


@dataclass(frozen=True, slots=True)
class PatternRecord:
    """A stored task, with the digest of its content."""

    task: str
    content_sha256: str

    def __post_init__(self) -> None:
        if not is_task_name(self.task):
            raise ValueError(f"task name {self.task[:80]!r} found, expected one a task can have")
        check_digest(self.content_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class HopfieldContent:
    """Everything that content_sha256 covers besides the tensors.

    Args:
        base_sha256: the base network the masks belong to.
        rule: how a pattern is added to the matrices.
        tasks: stored tasks in the order of adding; at least one.
    """

    kind: Literal["hopfield"] = "hopfield"
    version: Literal[1] = 1
    base_sha256: str
    rule: Rule
    tasks: tuple[PatternRecord, ...]

    def __post_init__(self) -> None:
        check_digest(self.base_sha256)
        names = {one.task for one in self.tasks}
        if not self.tasks or len(names) != len(self.tasks):
            raise ValueError(
                f"{len(self.tasks)} tasks of {len(names)} names found, "
                "expected at least one, and distinct names"
            )


_COUPLINGS, _SUM = "couplings", "sum"


@dataclass(frozen=True, slots=True, eq=False)
class Attractors:
    """The stored patterns, in matrices that do not grow with their number.

    A pattern is +1 where the mask keeps the unit, −1 elsewhere.

    Args:
        rule: how a pattern is added to a matrix.
        tasks: stored tasks in the order of adding.
        matrices: for each masked parameter (d, d) float64, symmetric, zero diagonal.
        sums: for each masked parameter (d,) float64, the sum of the patterns.
    """

    rule: Rule
    tasks: tuple[PatternRecord, ...]
    matrices: Mapping[str, NDArray[np.float64]]
    sums: Mapping[str, NDArray[np.float64]]


def hopfield_limit(spec: BankSpec) -> int:
    """Return the largest number of bytes that attractors of this network may have.

    Besides the matrices there is room for the sums.
    """
    couplings = sum(one.count * (one.count - 1) // 2 for one in spec.masked)
    return 2 * HEADER_LIMIT + 8 * couplings + 8 * spec.weights


def build_hopfield(record: BankRecord, attractors: Attractors) -> bytes:
    """Write hopfield.safetensors; equal attractors give equal bytes.

    Args:
        record: of the bank; its masks choose units.
        attractors: see there.

    Raises:
        ValueError: attractors do not fit the record, or exceed `hopfield_limit`.
    """
    content = HopfieldContent(
        base_sha256=record.base_sha256, rule=attractors.rule, tasks=attractors.tasks
    )
    tensors: Tensors = {}
    for name, matrix in attractors.matrices.items():
        if not np.array_equal(matrix, matrix.T) or matrix.diagonal().any():
            raise ValueError(f"matrix {name} is not symmetric with a zero diagonal")
        tensors[f"{_COUPLINGS}/{name}"] = matrix[_above_diagonal(len(matrix))]
    tensors |= {f"{_SUM}/{name}": array for name, array in attractors.sums.items()}
    _check_tensors(content, record, tensors)
    stated = to_json(content)
    data = seal(tensors, {"content": stated, "content_sha256": content_sha256(stated, tensors)})
    if len(data) > hopfield_limit(record):
        raise ValueError(f"{len(data)} bytes, expected at most {hopfield_limit(record)}")
    return data


def parse_hopfield(data: bytes, record: BankRecord, name: str) -> Attractors:
    """Read hopfield.safetensors, checked in full.

    Args:
        data: the whole file.
        record: of the bank.
        name: the file's name, for messages.

    Raises:
        DamagedError: anything but what `build_hopfield` writes.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the masks belong to another base.
    """
    content, tensors = _parse(data, record, name)
    matrices = {}
    for one in record.masked:
        above = np.zeros((one.count, one.count))
        above[_above_diagonal(one.count)] = tensors[f"{_COUPLINGS}/{one.name}"]
        matrices[one.name] = above + above.T
    return Attractors(
        content.rule,
        content.tasks,
        matrices,
        {one.name: _native(tensors[f"{_SUM}/{one.name}"]) for one in record.masked},
    )


def check_hopfield(data: bytes, record: BankRecord, name: str) -> HopfieldContent:
    """Check hopfield.safetensors in full and return its content, without making the matrices.

    Args and Raises: as `parse_hopfield`.
    """
    return _parse(data, record, name)[0]


def _parse(data: bytes, record: BankRecord, name: str) -> tuple[HopfieldContent, Tensors]:
    sealed = read_sealed(data, name)
    metadata, tensors = sealed.metadata, sealed.tensors
    stated = check_kind(metadata, "hopfield", name)
    with damage(name, "I5"):
        if not isinstance(metadata, dict) or metadata.keys() != {"content", "content_sha256"}:
            raise ValueError("metadata keys are not ['content', 'content_sha256']")
        content = from_json(HopfieldContent, stated, "content")
    if content.base_sha256 != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {content.base_sha256[:16]}… found, "
            f"this bank has {record.base_sha256[:16]}…",
            hint="move the file to the bank it belongs to",
            invariant="I8",
        )
    with damage(name, "I12"):
        _check_tensors(content, record, tensors)
    check_content_sha256(sealed, name)
    return content, tensors


def _check_tensors(
    content: HopfieldContent, record: BankRecord, tensors: Mapping[str, Tensor]
) -> None:
    if record.masking != "units":
        raise ValueError(f"masks of {record.masking} found, expected of units")
    expected: dict[str, tuple[int, ...]] = {}
    for one in record.masked:
        expected[f"{_COUPLINGS}/{one.name}"] = (one.count * (one.count - 1) // 2,)
        expected[f"{_SUM}/{one.name}"] = (one.count,)
    if tensors.keys() != expected.keys():
        raise ValueError(f"tensor {min(tensors.keys() ^ expected.keys())} missing or unknown")
    for name, values in tensors.items():
        shape = expected[name]
        if values.dtype != np.float64 or values.shape != shape:
            raise ValueError(
                f"tensor {name}: {values.dtype} {values.shape} found, expected float64 {shape}"
            )
        if not np.isfinite(_native(values)).all():
            raise ValueError(f"tensor {name}: infinity or NaN found, expected finite numbers")
    for one in record.masked:
        _check_sums(_native(tensors[f"{_SUM}/{one.name}"]), len(content.tasks), one.name)


def _check_sums(sums: NDArray[np.float64], tasks: int, name: str) -> None:
    """Refuse values that cannot be a sum of so many values of +1 or −1."""
    minus = (tasks - sums) / 2
    if ((minus < 0) | (minus > tasks) | (minus != np.floor(minus))).any():
        raise ValueError(f"tensor {_SUM}/{name}: found no sums of {tasks} values of +1 or −1")


def _above_diagonal(size: int) -> NDArray[np.bool_]:
    """Return which places of a (size, size) matrix lie above its diagonal."""
    return ~np.tri(size, dtype=np.bool_)


def _native(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.astype(np.float64, copy=False)
