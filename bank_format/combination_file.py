"""A combination's file: a task made of earlier tasks' masks, of which it keeps coefficients alone.

A layer's mask keeps a weight where the parents' votes, each +1 for kept and −1 for not, weighed by
the layer's coefficients, exceed the layer's bias. So a few hundred bytes stand for a mask, and
whoever reads the task gets an ordinary mask.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bank_format.base_file import check_kind
from bank_format.bits import pack, unpack
from bank_format.canonical_json import Json
from bank_format.combination_records import CombinationContent
from bank_format.errors import BankError, DamagedError, NoSuchTaskError, OtherBaseError
from bank_format.records import BankRecord
from bank_format.sealed import Tensors, seal, unseal
from bank_format.strict_json import from_json, to_json
from bank_format.task_file import METADATA_KEYS, Task, check_classes, content_sha256
from bank_format.task_records import ParentRecord, Provenance, TaskFacts

__all__ = [
    "build_combination",
    "combined_masks",
    "named_parents",
    "parse_combination",
]

# As it stands in the header, where the content is JSON inside JSON.
_KIND = b'\\"kind\\":\\"combination\\"'
_COEFFICIENTS = "coefficients"
_HINT = "restore the file from a copy, or remove the task"


def combined_masks(
    record: BankRecord,
    coefficients: Mapping[str, NDArray[np.float32]],
    parents: Sequence[Mapping[str, NDArray[np.uint8]]],
) -> dict[str, NDArray[np.uint8]]:
    """Combine masks: kept where Σₖ aₖ (2 Mₖ − 1) > b, summed in binary64 in the parents' order.

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


def build_combination(
    record: BankRecord,
    facts: TaskFacts,
    coefficients: Mapping[str, NDArray[np.float32]],
    statistics: Mapping[str, NDArray[np.float32]],
    provenance: Provenance,
) -> bytes:
    """Write a combination's file.

    Args:
        record: of the bank.
        facts: what the learner knows; its parents are what is combined, in this order.
        coefficients: see `combined_masks`; finite.
        statistics: float32 arrays by name, of any shape.
        provenance: where and when.

    Raises:
        ValueError: coefficients, statistics or facts that do not fit the record or the format.
    """
    known = {f.name: getattr(facts, f.name) for f in dataclasses.fields(TaskFacts)}
    content = CombinationContent(
        **known, base_sha256=record.base_sha256, statistics=tuple(sorted(statistics))
    )
    check_classes(content, record)
    tensors: Tensors = {f"{_COEFFICIENTS}/{name}": array for name, array in coefficients.items()}
    tensors |= {f"statistics/{name}": array for name, array in statistics.items()}
    _check_tensors(content, record, tensors)
    stated, told = to_json(content), to_json(provenance)
    # What is written must be readable: an int where a float belongs is found here, not later.
    from_json(CombinationContent, stated, "content")
    from_json(Provenance, told, "provenance")
    digest = content_sha256(stated, tensors)
    return seal(tensors, {"content": stated, "content_sha256": digest, "provenance": told})


def parse_combination(
    tensors: Tensors,
    metadata: Json,
    record: BankRecord,
    task: str,
    name: str,
    size: int,
    read_parent: Callable[[str], Task] | None,
) -> Task:
    """Read an unsealed combination's file, checked in full, and make its masks.

    Args:
        tensors: of the file.
        metadata: of the file.
        record: of the bank.
        task: the name that the file's name stands for.
        name: the file's name, for messages.
        size: of the file, bytes.
        read_parent: reads a task of the same bank; None refuses, as this is a parent itself.

    Raises:
        DamagedError: anything but what `build_combination` writes, another task's name inside, or
            a parent that is missing, damaged or not the one combined; names both.
        NewerFormatError, StorageError: of this file or a parent's.
        OtherBaseError: the parents' masks belong to another base.
    """
    stated = check_kind(metadata, "combination", name)
    if read_parent is None:
        raise DamagedError(f"{name}: a combination found as a parent, expected a mask", hint=_HINT)
    try:
        if not isinstance(metadata, dict) or metadata.keys() != METADATA_KEYS:
            raise ValueError(f"metadata keys are not {sorted(METADATA_KEYS)}")
        content = from_json(CombinationContent, stated, "content")
        provenance = from_json(Provenance, metadata["provenance"], "provenance")
        if content.task != task:
            raise ValueError(f"task {content.task!r} found inside, expected {task!r}")
        if content.base_sha256 == record.base_sha256:
            check_classes(content, record)
            _check_tensors(content, record, tensors)
            digest = content_sha256(stated, tensors)
            if metadata["content_sha256"] != digest:
                raise ValueError(f"content_sha256 is not that of the content, {digest[:16]}…")
    except ValueError as error:
        raise DamagedError(f"{name}: {error}", hint=_HINT) from error
    if content.base_sha256 != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {content.base_sha256[:16]}… found, "
            f"this bank has {record.base_sha256[:16]}…",
            hint="move the file to the bank it belongs to",
        )
    parents = [_read_parent(parent, task, read_parent).masks for parent in content.parents]
    coefficients = {
        one.name: tensors[f"{_COEFFICIENTS}/{one.name}"].view(np.float32) for one in record.masked
    }
    return Task(
        content,
        provenance,
        combined_masks(record, coefficients, parents),
        {one: tensors[f"statistics/{one}"].view(np.float32) for one in content.statistics},
        digest,
        sum(parameter.count for parameter in record.masked),
        size,
        coefficients,
    )


def named_parents(data: bytes, name: str) -> tuple[str, ...]:
    """Name the tasks that a task file combines; none if it is no combination.

    The parents themselves are not read, so that a combination that has lost one still tells.

    Args:
        data: the whole file.
        name: the file's name, for messages.

    Raises:
        DamagedError, NewerFormatError: of this file, where it says that it is a combination.
    """
    if _KIND not in data[: 8 + int.from_bytes(data[:8], "little")]:
        return ()
    _, metadata = unseal(data, name)
    stated = check_kind(metadata, "combination", name)
    try:
        content = from_json(CombinationContent, stated, "content")
    except ValueError as error:
        raise DamagedError(f"{name}: {error}", hint=_HINT) from error
    return tuple(parent.task for parent in content.parents)


def _read_parent(parent: ParentRecord, task: str, read_parent: Callable[[str], Task]) -> Task:
    whole = f"task {task!r} combines task {parent.task!r}"
    back = f"supsup tasks copy {parent.task} --from ANOTHER-BANK"
    try:
        found = read_parent(parent.task)
    except NoSuchTaskError as error:
        raise DamagedError(f"{whole}, which is missing", hint=back) from error
    except BankError as error:
        raise type(error)(f"{whole}: {error.message}", hint=error.hint) from error
    if found.content_sha256 != parent.content_sha256:
        raise DamagedError(
            f"{whole}: content {found.content_sha256[:16]}… found, "
            f"expected {parent.content_sha256[:16]}…",
            hint=f"remove the task that took its name, then {back}",
        )
    return found


def _check_tensors(content: CombinationContent, record: BankRecord, tensors: Tensors) -> None:
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
