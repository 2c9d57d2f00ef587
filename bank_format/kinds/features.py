"""features.safetensors: turns a random network's maps into features; made from the base alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import Tensors, read_sealed, seal
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import check_kind
from bank_format.names import check_digest, check_text

__all__ = ["FeaturesContent", "Whitening", "build_features", "parse_features"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesContent:
    """The file's content besides its tensors.

    Args:
        base_sha256: the base network it was made from.
        model: how features are computed, see *Signatures* in FORMAT.md.
    """

    kind: Literal["features"] = "features"
    version: Literal[1] = 1
    base_sha256: str
    model: str

    def __post_init__(self) -> None:
        check_digest(self.base_sha256)
        check_text(self.model)


@dataclass(frozen=True, eq=False)
class Whitening:
    """A transform that makes maps of reference images uncorrelated: z = (v − mean) matrix.

    Attributes:
        mean: (D,) float32.
        matrix: (D, D) float32.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]


def build_features(record: BankRecord, model: str, whitening: Whitening) -> bytes:
    """Write features.safetensors.

    Raises:
        ValueError: arrays that do not fit each other, or are not finite float32.
    """
    tensors: Tensors = {"features/matrix": whitening.matrix, "features/mean": whitening.mean}
    _check(tensors)
    content = FeaturesContent(base_sha256=record.base_sha256, model=model)
    return seal(tensors, {"content": to_json(content)})


def parse_features(data: bytes, record: BankRecord, name: str) -> tuple[str, Whitening]:
    """Read features.safetensors, checked in full.

    Returns:
        the model, and the transform.

    Raises:
        DamagedError: anything but what `build_features` writes.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: it was made from another base.
    """
    sealed = read_sealed(data, name)
    stated = check_kind(sealed.metadata, "features", name)
    with damage(name, "I5"):
        if sealed.metadata != {"content": stated}:
            raise ValueError("metadata keys are not ['content']")
        content = from_json(FeaturesContent, stated, "content")
    if content.base_sha256 != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {content.base_sha256[:16]}… found, "
            f"this bank has {record.base_sha256[:16]}…",
            hint="remove the file: it is made again",
            invariant="I8",
        )
    with damage(name, "I9"):
        _check(sealed.tensors)
    mean, matrix = (
        sealed.tensors[f"features/{one}"].astype(np.float32) for one in ("mean", "matrix")
    )
    return content.model, Whitening(mean, matrix)


def _check(tensors: Tensors) -> None:
    mean, matrix = tensors.get("features/mean"), tensors.get("features/matrix")
    if mean is None or matrix is None or len(tensors) != 2:
        raise ValueError(
            f"tensors {sorted(tensors)} found, expected features/matrix, features/mean"
        )
    for one in (mean, matrix):
        if one.dtype != np.float32 or not np.isfinite(one.view(np.float32)).all():
            raise ValueError("a tensor is not float32, or not finite")
    if mean.ndim != 1 or matrix.shape != (len(mean), len(mean)):
        raise ValueError(f"mean of {mean.shape} and matrix of {matrix.shape} found")
