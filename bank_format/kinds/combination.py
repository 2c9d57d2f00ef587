"""A combination's file: a task made from other tasks' masks with a few coefficients.

A layer's mask keeps a weight if the parents' votes, +1 for kept and −1 for dropped, weighted by the
layer's coefficients, exceed the layer's bias. So a few hundred bytes replace a mask, and a reader
of the task gets an ordinary mask.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.bits import pack, unpack
from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import Tensors, Unsealed, seal
from bank_format.errors import BankError, DamagedError, NoSuchTaskError, OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.combination_records import CombinationContent
from bank_format.kinds.mask import Task
from bank_format.kinds.task_arrays import Arrays, read_arrays, stored_arrays
from bank_format.kinds.task_metadata import (
    HINT,
    build_metadata,
    check_classes,
    check_content_sha256,
    parse_metadata,
)
from bank_format.kinds.task_records import ParentRecord, Provenance, TaskFacts, needed_version

__all__ = [
    "Combination",
    "build_combination",
    "combined_masks",
    "parse_combination",
    "read_combination",
]

_COEFFICIENTS = "coefficients"


def build_combination(
    record: BankRecord,
    facts: TaskFacts,
    coefficients: Mapping[str, NDArray[np.float32]],
    statistics: Mapping[str, NDArray[np.float32]],
    provenance: Provenance,
    arrays: Arrays | None = None,
) -> bytes:
    """Write a combination's file.

    Args:
        record: of the bank.
        facts: what the learner knows; its parents are combined in this order.
        coefficients: see `combined_masks`; finite.
        statistics: float32 arrays by name, of any shape.
        provenance: where and when.
        arrays: what else belongs to the task, see `stored_arrays`.

    Raises:
        ValueError: coefficients, statistics, arrays or facts that do not fit the record or the
            format.
    """
    stated, stored = stored_arrays(arrays or {})
    known = {f.name: getattr(facts, f.name) for f in dataclasses.fields(TaskFacts)}
    content = CombinationContent(
        **known,
        version=needed_version({}, stated),
        base_sha256=record.base_sha256,
        statistics=tuple(sorted(statistics)),
        arrays=stated,
    )
    check_classes(content, record)
    tensors: Tensors = {f"{_COEFFICIENTS}/{name}": array for name, array in coefficients.items()}
    tensors |= {f"statistics/{name}": array for name, array in statistics.items()}
    tensors |= stored
    _check_tensors(content, record, tensors)
    return seal(tensors, build_metadata(content, provenance, tensors))


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """A combination's file, read and checked before its parents are.

    Args:
        content: what content_sha256 covers besides the tensors.
        provenance: where and when it was learned.
        coefficients: for each masked parameter (parents + 1,) float32.
        statistics: float32 arrays by name.
        content_sha256: 64 hex digits.
        bytes_on_disk: size of the file, bytes.
        arrays: what else belongs to the task, in their types and shapes.
    """

    content: CombinationContent
    provenance: Provenance
    coefficients: Mapping[str, NDArray[np.float32]]
    statistics: Mapping[str, NDArray[np.float32]]
    content_sha256: str
    bytes_on_disk: int
    arrays: Arrays


def parse_combination(sealed: Unsealed, record: BankRecord, task: str, name: str) -> Combination:
    """Read an unsealed combination's file, checked as far as possible without its parents.

    Args:
        sealed: the file.
        record: of the bank.
        task: the name that the file's name stands for.
        name: the file's name, for messages.

    Raises:
        DamagedError: anything but what `build_combination` writes, or another task's name inside.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the parents' masks belong to another base.
    """
    content, provenance = parse_metadata(
        sealed.metadata, "combination", CombinationContent, record, task, name
    )
    tensors = sealed.tensors
    with damage(name, "I9", hint=HINT):
        check_classes(content, record)
        _check_tensors(content, record, tensors)
        arrays = read_arrays(content.arrays, tensors)
    digest = check_content_sha256(sealed, name)
    coefficients = {
        one.name: tensors[f"{_COEFFICIENTS}/{one.name}"].view(np.float32) for one in record.masked
    }
    statistics = {one: tensors[f"statistics/{one}"].view(np.float32) for one in content.statistics}
    return Combination(content, provenance, coefficients, statistics, digest, sealed.size, arrays)


def _check_tensors(content: CombinationContent, record: BankRecord, tensors: Tensors) -> None:
    missing = content.arrays.keys() - tensors.keys()
    if missing:
        raise ValueError(f"tensor {min(missing)} missing")
    tensors = {name: array for name, array in tensors.items() if name not in content.arrays}
    expected = {f"statistics/{name}" for name in content.statistics}
    count = (len(content.parents) + 1,)
    for parameter in record.masked:
        name = f"{_COEFFICIENTS}/{parameter.name}"
        expected.add(name)
        values = tensors.get(name)
        if values is None or values.dtype != np.float32 or values.shape != count:
            found = "none" if values is None else f"{values.dtype} {values.shape}"
            raise ValueError(f"tensor {name}: {found} found, expected float32 {count}")
        if not np.isfinite(values.view(np.float32)).all():
            raise ValueError(f"tensor {name}: infinity or NaN found, expected finite numbers")
    for name, values in tensors.items():
        if name not in expected or values.dtype != np.float32:
            raise ValueError(f"tensor {name} of type {values.dtype} has no place here")
    if tensors.keys() != expected:
        raise ValueError(f"tensor {min(expected - tensors.keys())} missing")


def combined_masks(
    record: BankRecord,
    coefficients: Mapping[str, NDArray[np.float32]],
    parents: Sequence[Mapping[str, NDArray[np.uint8]]],
) -> dict[str, NDArray[np.uint8]]:
    """Combine masks: keep a weight if Σₖ aₖ (2 Mₖ − 1) > b, summed in binary64 in the parents'
    order.

    Args:
        record: of the bank.
        coefficients: for each masked parameter (K + 1,) float32: a₁ … a_K, then b.
        parents: K packed masks, as in `Task.masks`.

    Returns:
        For each masked parameter (ceil(n / 8),) uint8, packed, in the record's order.
    """
    masks = {}
    for parameter in record.masked:
        *weights, bias = coefficients[parameter.name].astype(np.float64).tolist()
        votes = np.zeros(parameter.count, dtype=np.float64)
        for weight, parent in zip(weights, parents, strict=True):
            kept = unpack(parent[parameter.name], parameter.count)
            votes += np.where(kept, weight, -weight)
        masks[parameter.name] = pack(votes > bias)
    return masks


def read_combination(
    stated: Combination, record: BankRecord, name: str, read_parent: Callable[[str], Task]
) -> Task:
    """Make the task of a combination's file from its parents' masks.

    Args:
        stated: the file's content.
        record: of the bank.
        name: the file's name, for messages.
        read_parent: reads a task of the same bank that has masks of its own.

    Raises:
        DamagedError: a parent is missing, damaged or not the one combined; the message names both.
        NewerFormatError, StorageError: of a parent's file; names both.
    """
    parents = [_read_parent(one, stated, name, read_parent).masks for one in stated.content.parents]
    return Task(
        stated.content,
        stated.provenance,
        combined_masks(record, stated.coefficients, parents),
        stated.statistics,
        stated.content_sha256,
        sum(parameter.count for parameter in record.masked),
        stated.bytes_on_disk,
        stated.coefficients,
        stated.arrays,
    )


def _read_parent(
    parent: ParentRecord, child: Combination, name: str, read_parent: Callable[[str], Task]
) -> Task:
    whole = f"{name}: task {child.content.task!r} combines task {parent.task!r}"
    back = f"supsup tasks copy {parent.task} --from ANOTHER-BANK"
    try:
        found = read_parent(parent.task)
    except NoSuchTaskError as error:
        raise _unfit(f"{whole}, which is missing", back) from error
    except (DamagedError, OtherBaseError) as error:
        hint = f"{error.hint}; then {back}" if error.hint else back
        raise _unfit(f"{whole}: {error.message}", hint) from error
    except BankError as error:
        told = f"{whole}: {error.message}"
        raise type(error)(told, hint=error.hint, invariant=error.invariant) from error
    if found.content_sha256 != parent.content_sha256:
        raise _unfit(
            f"{whole}: content {found.content_sha256[:16]}… found, "
            f"expected {parent.content_sha256[:16]}…",
            f"remove the task that took its name, then {back}",
        )
    return found


def _unfit(message: str, hint: str) -> DamagedError:
    return DamagedError(message, hint=hint, invariant="I11")
