"""Coarse signatures: enough of each task's signature to find the few worth a closer look.

All numbers are sums and products of float32 and float64, rounded one by one in a fixed order, so
that equal signatures give equal rows on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bank_format.kinds.gaussians import read_gaussians, rounded
from bank_format.kinds.task_arrays import Arrays

__all__ = ["CoarseRows", "coarse_row", "from_bfloat16", "joined_rows"]

_LEVELS = 127


@dataclass(frozen=True, eq=False)
class CoarseRows:
    """What is known of S signatures at once; M components in all, D features.

    Attributes:
        seals: (S, 32) uint8, of the files that the signatures stand in.
        counts: (S,) int64, components of each.
        means: (M, D) int8, of all components; times `scales` they are the signatures' means.
        scales: (M,) float32.
        shares: (M,) float32.
        centres: (S, D) int8, mean of the means by shares; times `centre_scales`.
        centre_scales: (S,) float32.
        within: (S, D) uint16, variances within components as bfloat16, mean by shares.
        between: (S, D) uint16, variances of the means about their centre, likewise.
        noise: (S,) float64, σ², mean over the components.
        own: (S,) float64, the Q that an image of the task itself has on average.
    """

    seals: NDArray[np.uint8]
    counts: NDArray[np.int64]
    means: NDArray[np.int8]
    scales: NDArray[np.float32]
    shares: NDArray[np.float32]
    centres: NDArray[np.int8]
    centre_scales: NDArray[np.float32]
    within: NDArray[np.uint16]
    between: NDArray[np.uint16]
    noise: NDArray[np.float64]
    own: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.seals)

    @property
    def features(self) -> int:
        """D, numbers for each image."""
        return int(self.means.shape[1])

    def take(self, here: NDArray[np.int64]) -> "CoarseRows":
        """Take some signatures, in the order given."""
        if np.array_equal(here, np.arange(len(self))):
            return self
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[here]
        ends = np.cumsum(counts)
        places = np.arange(counts.sum()) + np.repeat(starts[here] - (ends - counts), counts)
        return CoarseRows(
            self.seals[here],
            counts,
            self.means[places],
            self.scales[places],
            self.shares[places],
            self.centres[here],
            self.centre_scales[here],
            self.within[here],
            self.between[here],
            self.noise[here],
            self.own[here],
        )

    def same(self, row: int, other: "CoarseRows") -> bool:
        """Return whether a row says what another's only row does.

        What was read is compared bit by bit. What was computed from it may differ in the last bits,
        because machines round logarithms differently.
        """
        one = self.take(np.array([row]))
        return all(
            getattr(one, name).tobytes() == getattr(other, name).tobytes()
            for name in ("means", "scales", "shares", "centres", "centre_scales")
        ) and all(
            np.allclose(_floats(one, name), _floats(other, name), rtol=0.02, atol=1e-30)
            for name in ("within", "between", "noise", "own")
        )


def coarse_row(seal: bytes, arrays: Arrays) -> CoarseRows:
    """Make the row of one signature.

    Args:
        seal: of its file, 32 bytes.
        arrays: of the model `GAUSSIANS`.

    Raises:
        ValueError: see `read_gaussians`; or its numbers are too large to be put together.
    """
    features = np.atleast_2d(arrays["signature/means"]).shape[-1]
    found = read_gaussians(arrays, features)
    if not len(found.means):
        raise ValueError("a signature without components")
    shares, means = found.shares[:, None], found.means
    noise = float(found.noise.mean(dtype=np.float64))
    with np.errstate(all="ignore"):  # what comes of it is looked at below
        centre = (means * shares).sum(0)
        between = (np.square(means - centre) * shares).sum(0)
        beyond = np.maximum(found.variances - np.float32(noise), 0)[:, :, None]
        along = (beyond * np.square(found.directions)).sum(1)
        within = (along * shares).sum(0) + np.float32(noise)
        stretch = np.log(np.maximum(found.variances.astype(np.float64), noise) / noise).sum(1)
        own = features + float((found.shares * stretch).sum())
    if not all(np.isfinite(one).all() for one in (noise, centre, between, within, own)):
        raise ValueError("numbers too large to be put together")
    centres, scale = rounded(centre, _LEVELS)
    return CoarseRows(
        np.frombuffer(seal, np.uint8)[None],
        np.array([len(means)], np.int64),
        arrays["signature/means"].astype(np.int8, copy=False),
        arrays["signature/mean-scales"].astype(np.float32, copy=False),
        found.shares,
        centres[None],
        scale.reshape(1),
        _bfloat16(within)[None],
        _bfloat16(between)[None],
        np.array([noise]),
        np.array([own]),
    )


def joined_rows(parts: Sequence[CoarseRows]) -> CoarseRows:
    """Lay rows end to end, at least one part, all of one D."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(CoarseRows)]
    return CoarseRows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def from_bfloat16(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Widen numbers that are the upper halves of float32 ones."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def _bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round finite numbers from zero on to the nearest upper half of a float32, halves to even."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    finite: NDArray[np.uint16] = np.minimum(nearest, 0x7F7F).astype(np.uint16)
    return finite


def _floats(rows: CoarseRows, name: str) -> NDArray[np.floating]:
    values = getattr(rows, name)
    return from_bfloat16(values) if values.dtype == np.uint16 else values
