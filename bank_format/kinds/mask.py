"""A task file: one task's masks, statistics, content and provenance in one sealed file."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.bits import count_ones, unpack
from bank_format.encoding.codec import Encoding, decode, encode
from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import Tensors, Unsealed, seal
from bank_format.kinds.bank_json import BankRecord, ParameterRecord
from bank_format.kinds.combination_records import CombinationContent
from bank_format.kinds.task_arrays import Arrays, read_arrays, stored_arrays
from bank_format.kinds.task_metadata import (
    HINT,
    build_metadata,
    check_classes,
    check_content_sha256,
    parse_metadata,
)
from bank_format.kinds.task_records import (
    Provenance,
    TaskContent,
    TaskFacts,
    needed_version,
)

__all__ = ["Task", "build_task", "parse_mask"]

_MASK: np.dtype[np.generic] = np.dtype("uint8")
_STATISTICS: np.dtype[np.generic] = np.dtype("float32")


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A task as read and checked.

    Args:
        content: what content_sha256 covers besides the tensors.
        provenance: where and when it was learned.
        masks: for each masked parameter (ceil(n / 8),) uint8, packed, in the record's order.
        statistics: float32 arrays by name.
        content_sha256: 64 hex digits.
        weights: number of masked weights.
        bytes_on_disk: size of the file, bytes.
        coefficients: of a combination, for each masked parameter (parents + 1,) float32.
        arrays: other arrays of the task, such as its head; in their types and shapes.
    """

    content: TaskContent | CombinationContent
    provenance: Provenance
    masks: Mapping[str, NDArray[np.uint8]]
    statistics: Mapping[str, NDArray[np.float32]]
    content_sha256: str
    weights: int
    bytes_on_disk: int
    coefficients: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)

    @property
    def density(self) -> float:
        """The share of the masked weights that is kept, 0..1."""
        return sum(map(count_ones, self.masks.values())) / self.weights

    @property
    def sparse(self) -> bool:
        """Whether its masks keep a chosen share of each layer; then kept weights have a gain."""
        return "density" in self.content.recipe.settings

    @property
    def accuracy(self) -> float | None:
        """Share of test images classified rightly with the task given, 0..1; None if unknown."""
        found = self.content.accuracy
        return found.correct / found.images if found else None


def build_task(
    record: BankRecord,
    facts: TaskFacts,
    masks: Mapping[str, NDArray[np.bool_] | NDArray[np.uint8]],
    statistics: Mapping[str, NDArray[np.float32]],
    provenance: Provenance,
    arrays: Arrays | None = None,
) -> bytes:
    """Write a task file.

    Args:
        record: of the bank.
        facts: what the learner knows.
        masks: for each masked parameter a bool array of its shape, or (ceil(n / 8),) uint8 packed.
        statistics: float32 arrays by name, of any shape.
        provenance: where and when.
        arrays: what else belongs to the task, see `stored_arrays`.

    Raises:
        ValueError: masks, statistics, arrays or facts that do not fit the record or the format.
    """
    if masks.keys() != {parameter.name for parameter in record.masked}:
        raise ValueError(
            f"masks of {sorted(masks)} found, expected of {[p.name for p in record.masked]}"
        )
    tensors: Tensors = {}
    encoding: dict[str, Encoding] = {}
    for parameter in record.masked:
        bits = _bits_of(masks[parameter.name], parameter)
        encoding[parameter.name], tensors[f"mask/{parameter.name}"] = encode(bits)
    for name, values in statistics.items():
        if values.dtype != np.float32:
            raise ValueError(f"statistics {name} are {values.dtype}, expected float32")
        tensors[f"statistics/{name}"] = values
    stated, stored = stored_arrays(arrays or {})
    tensors |= stored
    known = {f.name: getattr(facts, f.name) for f in dataclasses.fields(TaskFacts)}
    content = TaskContent(
        **known,
        base_sha256=record.base_sha256,
        encoding=encoding,
        statistics=tuple(sorted(statistics)),
        arrays=stated,
        version=needed_version(encoding, stated),
    )
    _check_fits(content, record)
    return seal(tensors, build_metadata(content, provenance, tensors))


def parse_mask(sealed: Unsealed, record: BankRecord, task: str, name: str) -> Task:
    """Read the unsealed file of a task with masks of its own, checked in full.

    Args:
        sealed: the file.
        record: of the bank.
        task: the name that the file's name stands for.
        name: the file's name, for messages.

    Raises:
        DamagedError: anything but what `build_task` writes, or another task's name inside.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the masks belong to another base.
    """
    content, provenance = parse_metadata(sealed.metadata, "mask", TaskContent, record, task, name)
    with damage(name, "I9", hint=HINT):
        _check_fits(content, record)
        masks, statistics = _decoded(content, record, sealed.tensors)
        arrays = read_arrays(content.arrays, sealed.tensors)
    digest = check_content_sha256(sealed, name)
    weights = sum(parameter.count for parameter in record.masked)
    return Task(
        *(content, provenance, masks, statistics, digest, weights, sealed.size), arrays=arrays
    )


def _bits_of(
    mask: NDArray[np.bool_] | NDArray[np.uint8], parameter: ParameterRecord
) -> NDArray[np.bool_]:
    if mask.dtype == np.uint8:
        return unpack(mask.view(np.uint8), parameter.count)
    if mask.dtype != np.bool_ or mask.shape != parameter.shape:
        raise ValueError(
            f"mask of {parameter.name} is {mask.dtype} {mask.shape}, "
            f"expected bool {parameter.shape} or packed uint8"
        )
    return mask.view(np.bool_)


def _check_fits(content: TaskContent, record: BankRecord) -> None:
    check_classes(content, record)
    if content.encoding.keys() != {parameter.name for parameter in record.masked}:
        raise ValueError("encoding does not name exactly the masked parameters")


def _decoded(
    content: TaskContent, record: BankRecord, tensors: Tensors
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.float32]]]:
    expected = {f"mask/{name}": _MASK for name in content.encoding}
    expected |= {f"statistics/{name}": _STATISTICS for name in content.statistics}
    expected |= dict.fromkeys(content.arrays, _MASK)
    found = {name: tensor.dtype for name, tensor in tensors.items()}
    if found != expected:
        different = min(name for name in found | expected if found.get(name) != expected.get(name))
        raise ValueError(
            f"tensor {different}: {found.get(different, 'none')} found, "
            f"expected {expected.get(different, 'none')}"
        )
    masks: dict[str, NDArray[np.uint8]] = {}
    for parameter in record.masked:
        stored = tensors[f"mask/{parameter.name}"].view(np.uint8)
        try:
            masks[parameter.name] = decode(
                content.encoding[parameter.name], stored, parameter.count
            )
        except ValueError as error:
            raise ValueError(f"mask of {parameter.name}: {error}") from error
    statistics = {
        name: tensors[f"statistics/{name}"].view(np.float32) for name in content.statistics
    }
    return masks, statistics
