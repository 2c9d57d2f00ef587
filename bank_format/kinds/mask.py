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
from bank_format.kinds.task_extras import NO_EXTRAS, Extras, check_extras, extras_in, stored_extras
from bank_format.kinds.task_metadata import (
    HINT,
    build_metadata,
    check_classes,
    check_content_sha256,
    parse_metadata,
)
from bank_format.kinds.task_records import Provenance, TaskContent, TaskFacts, version_of

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
        extras: arrays of its signature and its head.
    """

    content: TaskContent | CombinationContent
    provenance: Provenance
    masks: Mapping[str, NDArray[np.uint8]]
    statistics: Mapping[str, NDArray[np.float32]]
    content_sha256: str
    weights: int
    bytes_on_disk: int
    coefficients: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    extras: Extras = NO_EXTRAS

    @property
    def density(self) -> float:
        """The share of the masked weights that is kept, 0..1."""
        return sum(map(count_ones, self.masks.values())) / self.weights


def build_task(
    record: BankRecord,
    facts: TaskFacts,
    masks: Mapping[str, NDArray[np.bool_] | NDArray[np.uint8]],
    statistics: Mapping[str, NDArray[np.float32]],
    provenance: Provenance,
    extras: Extras = NO_EXTRAS,
) -> bytes:
    """Write a task file.

    Args:
        record: of the bank.
        facts: what the learner knows.
        masks: for each masked parameter a bool array of its shape, or (ceil(n / 8),) uint8 packed.
        statistics: float32 arrays by name, of any shape.
        provenance: where and when.
        extras: arrays of the signature and the head that the facts tell of.

    Raises:
        ValueError: masks, statistics, extras or facts that do not fit the record or the format.
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
    known = {f.name: getattr(facts, f.name) for f in dataclasses.fields(TaskFacts)}
    content = TaskContent(
        **known,
        version=version_of(facts),
        base_sha256=record.base_sha256,
        encoding=encoding,
        statistics=tuple(sorted(statistics)),
    )
    _check_fits(content, record)
    check_extras(content.signature, content.head, len(content.classes), extras)
    tensors |= stored_extras(extras)
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
        extras = extras_in(sealed.tensors)
        check_extras(content.signature, content.head, len(content.classes), extras)
        masks, statistics = _decoded(content, record, sealed.tensors)
    digest = check_content_sha256(sealed, name)
    weights = sum(parameter.count for parameter in record.masked)
    return Task(content, provenance, masks, statistics, digest, weights, sealed.size, extras=extras)


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
    others = stored_extras(extras_in(tensors))
    found = {name: tensor.dtype for name, tensor in tensors.items() if name not in others}
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
