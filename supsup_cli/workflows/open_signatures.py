"""The signatures of open tasks side by side: coarse ones of all, whole ones of those in doubt."""

import warnings
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bank_format.errors import DamagedError
from bank_format.index.coarse import CoarseRows, coarse_row, from_bfloat16, joined_rows
from bank_format.index.rows import NO_SEAL
from bank_format.index.task_rows import StoredSignature, signature_of
from bank_format.kinds.appearance import Appearance, images_seen, read_appearance
from bank_format.kinds.gaussians import read_gaussians
from supsup_cli.core.signatures.appearance import NUMBERS
from supsup_cli.core.signatures.features import FrozenFeatures, TrainedFeatures
from supsup_cli.core.signatures.looks import CoarseSignatures
from supsup_cli.core.signatures.pooled import by_means, pooled_covariance, whitening
from supsup_cli.core.signatures.table import (
    FREEDOM,
    POOLED_FREEDOM,
    SignatureTable,
    TaskSignature,
    fit_score,
)
from supsup_cli.workflows.lazy_tasks import LazyTasks
from supsup_cli.workflows.opening import OpenNetwork, OpenTasks
from supsup_cli.workflows.signatures import open_features, ready

__all__ = ["OpenSignatures", "open_signatures"]

_AT_ONCE = 512  # rows that are widened to floats at a time: they stay in a processor's cache


class _Source(Protocol):
    """Where the signatures of T tasks come from.

    Attributes:
        coarse: S coarse ones.
        places: (T,) int64, each task's among them; −1 for none.
        hinted: indices of tasks with a signature that no seal confirms.
        gone: indices of tasks that are left out.
    """

    @property
    def coarse(self) -> CoarseRows | None: ...
    @property
    def places(self) -> NDArray[np.int64]: ...
    @property
    def hinted(self) -> set[int]: ...
    @property
    def gone(self) -> set[int]: ...
    def signature(self, index: int) -> StoredSignature | None:
        """Read a whole signature; None if it cannot be read after all."""


class OpenSignatures:
    """The signatures of open tasks.

    Args:
        features: the pass through the frozen network.
        net: the open network.
        source: gives the signatures.

    Attributes:
        features: as given.
        table: of all tasks that are not left out, in their order.
        unsigned: which tasks have no signature: indices, int64.
        usual_score: score of a task's own images for it, mean over the tasks, nats.
    """

    def __init__(self, features: FrozenFeatures, net: OpenNetwork, source: _Source) -> None:
        self.features = features
        self._net = net
        self._source = source
        self._whole: dict[int, tuple[TaskSignature | None, Appearance | None]] = {}
        self.renew()

    def __getitem__(self, index: int) -> TaskSignature | None:
        """Read a task's whole signature; None if it has none, or it cannot be read after all."""
        return self._read(index)[0]

    def appearance(self, index: int) -> Appearance | None:
        """Read what a task's images look like; None if its signature does not say."""
        return self._read(index)[1]

    def _read(self, index: int) -> tuple[TaskSignature | None, Appearance | None]:
        if index not in self._whole:
            stored = self._source.signature(index)
            self._whole[index] = None, None
            # A signature in other features than these cannot be used.
            with suppress(ValueError):
                if stored is not None:
                    gaussians = read_gaussians(stored.arrays, self.features.size)
                    seen = images_seen(stored.images, self._net.bank.record.input.shape)
                    look = read_appearance(stored.arrays, NUMBERS, seen)
                    self._whole[index] = ready(gaussians, self._net), look
        return self._whole[index]

    @property
    def stale(self) -> bool:
        """Whether the table is no longer of all tasks that are not left out, as they are known."""
        source = self._source
        return len(source.gone) != self._gone or source.coarse is not self._rows

    def renew(self) -> None:
        """Make the table again, after a task was left out or the index was wrong."""
        source, places, size = self._source, self._source.places, self.features.size
        self._gone, self._rows = len(source.gone), source.coarse
        here, trusted = np.ones(len(places), np.bool_), np.ones(len(places), np.bool_)
        here[list(source.gone)] = False
        trusted[list(source.hinted)] = False
        signed = np.flatnonzero(here & (places >= 0))
        self.unsigned = np.flatnonzero(here & (places < 0))
        trusted = trusted[signed]
        self.some = bool(trusted.any())
        self._whole.clear()
        rows = None
        if source.coarse is not None:
            rows = source.coarse.take(places[signed])
        if isinstance(self.features, TrainedFeatures) and self.some:
            self._compare_pooled(signed, trusted, len(places))
            return
        coarse = _coarse(rows, trusted, signed, len(places), size, self._net)
        self.table = SignatureTable(coarse, self.__getitem__)
        own = rows.own[trusted] if rows is not None else np.zeros(0)
        self.usual_score = _usual_score(own, size, FREEDOM)

    def _compare_pooled(
        self, signed: NDArray[np.int64], trusted: NDArray[np.bool_], tasks: int
    ) -> None:
        """Make the table of a trained network, where all whole signatures have a part in it.

        Args:
            signed: indices of the tasks that have one.
            trusted: (S,) bool, of those whose numbers enter what all share.
            tasks: T.
        """
        whole = {index: self[index] for index in signed.tolist()}
        vouched = [one for one, known in zip(whole.values(), trusted, strict=True) if known]
        turn = whitening(pooled_covariance([one for one in vouched if one is not None]))
        turn = turn.to(self._net.device)
        compared = {index: by_means(one, turn) for index, one in whole.items() if one is not None}
        counts = np.zeros(tasks, np.int64)
        counts[list(compared)] = [len(one.means) for one in compared.values()]
        ones = list(compared.values())
        coarse = CoarseSignatures.of(
            means=torch.cat([one.means for one in ones]),
            shares=torch.cat([one.shares for one in ones]),
            starts=torch.from_numpy(np.cumsum([0, *counts])).to(self._net.device),
            within=torch.stack([one.within() for one in ones]).mean(0),
            noise=float(np.mean([one.noise for one in ones])),
        )
        self.table = SignatureTable(coarse, compared.get, turn, POOLED_FREEDOM)
        own = np.array([one.own_distance() for one in ones])
        self.usual_score = _usual_score(own, self.features.size, POOLED_FREEDOM)


def _usual_score(own: NDArray[np.float64], features: int, freedom: float) -> float:
    """Average the scores of tasks' own images, from their distances; 0 if there is no task."""
    scores = fit_score(torch.from_numpy(own), features, freedom)
    return float(scores.mean()) if len(own) else 0.0


def open_signatures(opened: OpenTasks) -> OpenSignatures | None:
    """Collect the signatures of open tasks; None if no task has one.

    Where tasks were read because they were named, a damaged signature counts as missing: then it
    decides nothing.

    Raises:
        StorageError: the system refused to read one made later.
    """
    if isinstance(opened, LazyTasks):
        return None if opened.features is None else _made(opened, opened.features, opened.reader)
    features = open_features(opened.net, keep=False)
    return None if features is None else _made(opened, features, _ReadTasks(opened, features.size))


def _made(opened: OpenTasks, features: FrozenFeatures, source: _Source) -> OpenSignatures | None:
    signatures = OpenSignatures(features, opened.net, source)
    return signatures if signatures.some else None


class _ReadTasks:
    """The signatures of tasks that are all open."""

    def __init__(self, opened: OpenTasks, features: int) -> None:
        self.hinted: set[int] = set()
        self.gone: set[int] = set()
        self._signatures: list[StoredSignature | None] = []
        self.places = np.full(len(opened.tasks), -1, np.int64)
        parts: list[CoarseRows] = []
        for index, task in enumerate(opened.tasks):
            found = None
            with suppress(DamagedError):
                found, _ = signature_of(opened.net.bank, task)
            self._signatures.append(found)
            with suppress(ValueError):  # numbers that no Gaussian has
                one = None if found is None else coarse_row(NO_SEAL, found.arrays)
                if one is not None and one.features == features:
                    self.places[index] = len(parts)
                    parts.append(one)
        self.coarse = joined_rows(parts) if parts else None

    def signature(self, index: int) -> StoredSignature | None:
        """Return a task's signature as stored."""
        return self._signatures[index]


def _coarse(
    rows: CoarseRows | None,
    trusted: NDArray[np.bool_],
    signed: NDArray[np.int64],
    tasks: int,
    features: int,
    net: OpenNetwork,
) -> CoarseSignatures:
    """Put coarse signatures on the network's device.

    Args:
        rows: of the signed tasks, in their order; None for none.
        trusted: (S,) bool, of those whose numbers enter what all share.
        signed: indices of the tasks that have one.
        tasks: T.
        features: D.
        net: the open network.
    """
    counts = np.zeros(tasks, np.int64)
    centres, scales = np.zeros((tasks, features), np.int8), np.zeros(tasks, np.float32)
    within, between, noise = np.ones(features), np.zeros(features), 1.0
    means, own_scales = np.empty((0, features), np.int8), np.empty(0, np.float32)
    shares = np.empty(0, np.float32)
    if rows is not None and len(rows):
        counts[signed], scales[signed] = rows.counts, rows.centre_scales
        means, own_scales, shares = rows.means, rows.scales, rows.shares
        if len(signed) == tasks:
            centres = rows.centres
        else:
            centres[signed] = rows.centres
        within, between = (_mean(one, trusted) for one in (rows.within, rows.between))
        noise = float(rows.noise[trusted].mean()) if trusted.any() else 1.0
    return CoarseSignatures(
        means=_tensor(means, net),
        scales=_tensor(own_scales, net),
        shares=_tensor(shares, net),
        starts=_tensor(np.cumsum([0, *counts]), net),
        centres=_tensor(centres, net),
        centre_scales=_tensor(scales, net),
        within=_tensor(within.astype(np.float32), net),
        between=_tensor(between.astype(np.float32), net),
        noise=noise,
    )


def _mean(values: NDArray[np.uint16], trusted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average rows of bfloat16 numbers, those that are trusted: (D,) float64."""
    total = np.zeros(values.shape[1])
    for start in range(0, len(values), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        total += from_bfloat16(values[part])[trusted[part]].sum(0, dtype=np.float64)
    return total / max(1, int(trusted.sum()))


def _tensor(array: NDArray[Any], net: OpenNetwork) -> Tensor:
    """Put an array on the network's device; nobody writes to it, be it read-only or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array).to(net.device)
