"""The part of the index that decisions read: coarse signatures of some tasks."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import SEAL_SIZE, Tensors, seal
from bank_format.encoding.strict_json import to_json
from bank_format.index.coarse import CoarseRows
from bank_format.index.part_files import read_part
from bank_format.kinds.bank_json import BankRecord
from bank_format.names import check_digest

__all__ = ["SignaturesContent", "build_signatures", "parse_signatures"]

_WORD, _COUNT = np.dtype("<u2"), np.dtype("<u4")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturesContent:
    """What the file says besides its tensors.

    Args:
        base_sha256: the base network of the bank.
        model: of the signatures.
        signatures: how many.
        features: D, numbers for each image.
    """

    kind: Literal["index"] = "index"
    version: Literal[1] = 1
    part: Literal["signatures"] = "signatures"
    base_sha256: str
    model: Literal["gaussians-1"] = "gaussians-1"
    signatures: int
    features: int

    def __post_init__(self) -> None:
        check_digest(self.base_sha256)
        if self.signatures < 1 or self.features < 1:
            raise ValueError(
                f"{self.signatures} signatures of {self.features} features found, "
                "expected at least 1 of each"
            )


def build_signatures(record: BankRecord, rows: CoarseRows) -> bytes:
    """Write the part, see FORMAT.md; equal rows give equal bytes.

    Args:
        record: of the bank.
        rows: at least one.
    """
    tensors: Tensors = {
        "seals": _bytes(rows.seals),
        "counts": _bytes(rows.counts.astype(_COUNT)),
        "means": _bytes(rows.means),
        "mean-scales": rows.scales,
        "shares": rows.shares,
        "centres": _bytes(rows.centres),
        "centre-scales": rows.centre_scales,
        "within": _bytes(rows.within.astype(_WORD)),
        "between": _bytes(rows.between.astype(_WORD)),
        "noise": rows.noise,
        "own": rows.own,
    }
    content = SignaturesContent(
        base_sha256=record.base_sha256, signatures=len(rows), features=rows.features
    )
    _rows(content, tensors)
    return seal(tensors, {"content": to_json(content)})


def parse_signatures(data: bytes, record: BankRecord, name: str) -> CoarseRows:
    """Read the part, checked in full; its arrays are views of the data.

    Raises:
        DamagedError: anything but what `build_signatures` writes.
        NewerFormatError: a version, kind or model this reader does not know.
        OtherBaseError: of another bank.
    """
    content, tensors = read_part(SignaturesContent, data, record, name)
    with damage(name, "I13"):
        return _rows(content, tensors)


def _rows(content: SignaturesContent, tensors: Tensors) -> CoarseRows:
    """Make the rows of what the tensors hold.

    Raises:
        ValueError: they hold something else.
    """
    found = dict(tensors)
    several, features = content.signatures, content.features
    counts = _taken(found, "counts", "uint8", several * 4).view(_COUNT).astype(np.int64)
    parts = int(counts.sum())
    rows = CoarseRows(
        _taken(found, "seals", "uint8", several * SEAL_SIZE).reshape(several, SEAL_SIZE),
        counts,
        _taken(found, "means", "uint8", parts * features).view(np.int8).reshape(-1, features),
        _taken(found, "mean-scales", "float32", parts),
        _taken(found, "shares", "float32", parts),
        _taken(found, "centres", "uint8", several * features).view(np.int8).reshape(-1, features),
        _taken(found, "centre-scales", "float32", several),
        _words(found, "within", several, features),
        _words(found, "between", several, features),
        _taken(found, "noise", "float64", several),
        _taken(found, "own", "float64", several),
    )
    if found:
        raise ValueError(f"tensor {min(found)} unknown")
    floats = (rows.scales, rows.shares, rows.centre_scales, rows.noise, rows.own)
    if not all(np.isfinite(one).all() for one in floats) or (counts < 1).any():
        raise ValueError("infinity, NaN or a signature without components found")
    if (rows.shares <= 0).any() or (rows.noise <= 0).any():
        raise ValueError("a share or a noise found that is not above zero")
    return rows


def _words(tensors: Tensors, name: str, rows: int, features: int) -> NDArray[np.uint16]:
    words = _taken(tensors, name, "uint8", 2 * rows * features).view(_WORD)
    if (words > 0x7F7F).any():  # below zero, infinite or no number
        raise ValueError(f"tensor {name}: found what is no finite number from zero on")
    return words.reshape(rows, features)


def _taken(tensors: Tensors, name: str, dtype: str, count: int) -> NDArray[Any]:
    """Take a tensor out of those that are left."""
    found = tensors.pop(name, None)
    if found is None or found.dtype != np.dtype(dtype) or found.shape != (count,):
        told = "none" if found is None else f"{found.dtype} {list(found.shape)}"
        raise ValueError(f"tensor {name}: {told} found, expected {dtype} [{count}]")
    return found


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
