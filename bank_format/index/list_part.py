"""The part of the index that lists read: a row for each of some tasks."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import Tensors, seal
from bank_format.encoding.strict_json import to_json
from bank_format.index.list_rows import DIGESTS, NUMBERS, ListRows
from bank_format.index.part_files import read_part
from bank_format.index.rows import sample_size
from bank_format.kinds.bank_json import BankRecord
from bank_format.names import check_digest, check_texts, is_task_name

__all__ = ["ListContent", "build_list", "parse_list"]

_KINDS: Final = ("combination", "mask")
_TIME = len("2026-01-31T12:00:00.000000Z")
_TEXTS = 5  # of a row


@dataclass(frozen=True, slots=True, kw_only=True)
class ListContent:
    """What the file says besides its tensors.

    Args:
        base_sha256: the base network of the bank.
        tasks: number of rows.
    """

    kind: Literal["index"] = "index"
    version: Literal[1] = 1
    part: Literal["list"] = "list"
    base_sha256: str
    tasks: int

    def __post_init__(self) -> None:
        check_digest(self.base_sha256)
        if self.tasks < 1:
            raise ValueError(f"{self.tasks} tasks found, expected at least 1")


def build_list(record: BankRecord, rows: ListRows) -> bytes:
    """Write the part, see FORMAT.md; equal rows give equal bytes.

    Args:
        record: of the bank.
        rows: at least one.
    """
    texts = chain.from_iterable(zip(*rows.texts, strict=True))
    tensors: Tensors = {
        "texts": np.frombuffer("\n".join(texts).encode(), np.uint8),
        "numbers": _bytes(rows.numbers),
        "digests": _bytes(rows.digests),
        "samples": _bytes(rows.samples),
    }
    content = ListContent(base_sha256=record.base_sha256, tasks=len(rows))
    _rows(content, record, tensors)
    return seal(tensors, {"content": to_json(content)})


def parse_list(data: bytes, record: BankRecord, name: str) -> ListRows:
    """Read the part, checked in full; its arrays are views of the data.

    Raises:
        DamagedError: anything but what `build_list` writes.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: of another bank.
    """
    content, tensors = read_part(ListContent, data, record, name)
    with damage(name, "I13"):
        return _rows(content, record, tensors)


def _rows(content: ListContent, record: BankRecord, tensors: Tensors) -> ListRows:
    """Make the rows of what the tensors hold.

    Raises:
        ValueError: they hold something else.
    """
    count, sample = content.tasks, sample_size(record)
    sizes = {"numbers": NUMBERS.itemsize, "digests": DIGESTS.itemsize, "samples": sample}
    if tensors.keys() != {"texts", *sizes} or any(one.ndim != 1 for one in tensors.values()):
        raise ValueError(f"tensors {sorted(tensors)} found, expected texts, {', '.join(sizes)}")
    for name, size in sizes.items():
        if tensors[name].dtype != np.uint8 or len(tensors[name]) != size * count:
            raise ValueError(f"tensor {name}: {len(tensors[name])} found, expected {size * count}")
    texts = tensors["texts"].tobytes().decode("utf-8").split("\n")
    _check_texts(texts, count)
    numbers = tensors["numbers"].view(NUMBERS)
    _check_numbers(numbers)
    return ListRows.of(
        [texts[place::_TEXTS] for place in range(_TEXTS)],
        numbers,
        tensors["digests"].view(DIGESTS),
        tensors["samples"].view(np.uint8).reshape(count, sample),
    )


def _check_texts(texts: Sequence[str], count: int) -> None:
    """Check what texts say; nothing here is done for each that can be done for all."""
    if len(texts) != _TEXTS * count:
        raise ValueError(f"{len(texts)} texts found, expected {_TEXTS * count}")
    names = texts[0::_TEXTS]
    in_order = all(map(operator.lt, names, islice(names, 1, None)))
    if not in_order or not all(map(is_task_name, names)):
        raise ValueError("names found that no tasks have, or out of order")
    if not {*texts[1::_TEXTS]} <= {*_KINDS}:
        raise ValueError(f"a kind found that is none of {', '.join(_KINDS)}")
    check_texts(texts)
    if {*map(len, texts[4::_TEXTS])} != {_TIME}:
        raise ValueError(f"a time found that is not of {_TIME} characters")


def _check_numbers(numbers: NDArray[Any]) -> None:
    sizes = (numbers[name][:, 0] for name in ("file", "later"))
    counts = (numbers[name] for name in NUMBERS.names or () if name not in ("file", "later"))
    if (
        any((one < 0).any() for one in (*sizes, *counts))
        or (numbers["classes"] < 1).any()
        or (numbers["sparse"] > 1).any()
        or (numbers["correct"] > numbers["images"]).any()
    ):
        raise ValueError("a number found that no task has")


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
