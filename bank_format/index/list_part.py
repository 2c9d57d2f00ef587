"""The part of the index that lists read: a row for each of some tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bank_format.disk.stamps import Stamp
from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import SEAL_SIZE, Tensors, seal
from bank_format.encoding.strict_json import to_json
from bank_format.index.part_files import read_part
from bank_format.index.rows import NO_FILE, NO_SEAL, ListRow, TaskFile, sample_size
from bank_format.kinds.bank_json import BankRecord
from bank_format.names import check_digest, check_text, is_task_name

__all__ = ["ListContent", "build_list", "parse_list"]

_KINDS: Final = ("combination", "mask")
_TEXTS, _DIGESTS = 5, 4  # of a row
_NUMBERS: Final = 14
_TIME = len("2026-01-31T12:00:00.000000Z")
_INT64 = np.dtype("<i8")


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


def build_list(record: BankRecord, rows: Sequence[ListRow]) -> bytes:
    """Write the part, see FORMAT.md; equal rows give equal bytes.

    Args:
        record: of the bank.
        rows: of distinct tasks, sorted by their names; at least one.
    """
    texts = (t for one in rows for t in (one.task, one.kind, one.data, one.recipe, one.created))
    numbers = [
        (
            *one.file.stamp,
            *one.later.stamp,
            one.features,
            one.sparse,
            one.classes,
            one.steps,
            one.seed,
            one.ones,
            one.correct,
            one.images,
        )
        for one in rows
    ]
    digests = (
        digest
        for one in rows
        for digest in (one.file.seal, one.later.seal, one.content_sha256, one.data_sha256)
    )
    tensors: Tensors = {
        "texts": _bytes("\n".join(texts).encode()),
        "numbers": _bytes(np.array(numbers, _INT64).tobytes()),
        "digests": _bytes(b"".join(digests)),
        "samples": _bytes(b"".join(one.sample for one in rows)),
    }
    content = ListContent(base_sha256=record.base_sha256, tasks=len(rows))
    _rows(content, record, tensors)
    return seal(tensors, {"content": to_json(content)})


def parse_list(data: bytes, record: BankRecord, name: str) -> list[ListRow]:
    """Read the part, checked in full.

    Raises:
        DamagedError: anything but what `build_list` writes.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: of another bank.
    """
    content, tensors = read_part(ListContent, data, record, name)
    with damage(name, "I13"):
        return _rows(content, record, tensors)


def _rows(content: ListContent, record: BankRecord, tensors: Tensors) -> list[ListRow]:
    """Make the rows of what the tensors hold.

    Raises:
        ValueError: they hold something else.
    """
    count, sample = content.tasks, sample_size(record)
    sizes = {"numbers": 8 * _NUMBERS, "digests": SEAL_SIZE * _DIGESTS, "samples": sample}
    if tensors.keys() != {"texts", *sizes} or any(one.ndim != 1 for one in tensors.values()):
        raise ValueError(f"tensors {sorted(tensors)} found, expected texts, {', '.join(sizes)}")
    for name, size in sizes.items():
        if tensors[name].dtype != np.uint8 or len(tensors[name]) != size * count:
            raise ValueError(f"tensor {name}: {len(tensors[name])} found, expected {size * count}")
    texts = tensors["texts"].tobytes().decode("utf-8").split("\n")
    numbers = tensors["numbers"].view(_INT64).reshape(count, _NUMBERS)
    _check_texts(texts, count)
    _check_numbers(numbers)
    digests = _cut(tensors["digests"].tobytes(), SEAL_SIZE)
    samples = _cut(tensors["samples"].tobytes(), sample)
    columns = numbers.T.tolist()
    stamps = map(Stamp._make, zip(*columns[:3], strict=True))
    later = map(Stamp._make, zip(*columns[3:6], strict=True))
    return [
        ListRow._make(row)
        for row in zip(
            *(texts[place::_TEXTS] for place in range(_TEXTS)),
            map(TaskFile, digests[0::_DIGESTS], stamps),
            [
                NO_FILE if digest == NO_SEAL else TaskFile(digest, stamp)
                for digest, stamp in zip(digests[1::_DIGESTS], later, strict=True)
            ],
            columns[6],
            digests[2::_DIGESTS],
            digests[3::_DIGESTS],
            map(bool, columns[7]),
            *columns[8:],
            samples,
            strict=True,
        )
    ]


def _check_texts(texts: Sequence[str], count: int) -> None:
    if len(texts) != _TEXTS * count:
        raise ValueError(f"{len(texts)} texts found, expected {_TEXTS * count}")
    names = texts[0::_TEXTS]
    if not all(map(is_task_name, names)) or any(a >= b for a, b in zip(names, names[1:])):  # noqa: B905, RUF007
        raise ValueError("names found that no tasks have, or out of order")
    if not {*texts[1::_TEXTS]} <= {*_KINDS}:
        raise ValueError(f"a kind found that is none of {', '.join(_KINDS)}")
    for text in {*texts[2::_TEXTS], *texts[3::_TEXTS], *texts[4::_TEXTS]}:
        check_text(text)
    if {*map(len, texts[4::_TEXTS])} != {_TIME}:
        raise ValueError(f"a time found that is not of {_TIME} characters")


def _check_numbers(numbers: NDArray[np.int64]) -> None:
    size, later, sparse, classes = (numbers[:, place] for place in (0, 3, 7, 8))
    correct, images = numbers[:, 12], numbers[:, 13]
    whole = (numbers[:, 6:] >= 0).all() and (classes >= 1).all() and (correct <= images).all()
    if not whole or (size < 0).any() or (later < 0).any() or (sparse > 1).any():
        raise ValueError("a number found that no task has")


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
