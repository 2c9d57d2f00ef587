"""Share images among ranks, and put their answers in the order of the inputs.

If each image is decided alone, rank r of n takes every n-th batch that one process would compute
and does not read the others; every answer is the same to the last bit. If groups are decided, every
rank reads all images, because a broken image moves the bounds of groups, and takes neighbouring
groups; answers are the same except for float32 rounding, because fewer images are computed
together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import numpy as np

from bank_format.encoding.canonical_json import Json
from bank_format.encoding.strict_json import from_json, to_json
from supsup_cli.data.splits import InputShape
from supsup_cli.errors import NoInputError
from supsup_cli.workflows.inference.inputs import (
    InputBatch,
    InputRequest,
    input_batches,
    joined,
    read_inputs,
)
from supsup_cli.workflows.inference.rules import group_places
from supsup_cli.workflows.ranks import Ranks
from supsup_cli.workflows.results.common import LeftOutTask, joined_left_out
from supsup_cli.workflows.results.hopfield import RecoveryReport
from supsup_cli.workflows.results.inference import InferredSource, PredictedSource

_Answer = TypeVar("_Answer", InferredSource, PredictedSource)
_Key = tuple[str, int, int]


class SharedInputs:
    """The inputs that this rank takes, and where their answers belong among all.

    Args:
        ranks: the processes that share the work.
        group: images decided together; see `group_places`.
    """

    def __init__(self, ranks: Ranks, group: str) -> None:
        self._ranks = ranks
        self._group = group
        self._inputs: list[_Key] = []
        self._groups: list[_Key] = []
        self._answers: list[_Key] = []

    @property
    def whole(self) -> bool:
        """Whether this process takes all inputs."""
        return self._ranks.count == 1

    def read(
        self,
        request: InputRequest,
        input_shape: InputShape,
        seeds: Mapping[str, int],
        note: Callable[[str], None],
    ) -> Iterator[InputBatch]:
        """Read this rank's inputs; see `read_inputs`, and for errors `gathered`."""
        if self.whole:
            yield from read_inputs(request, input_shape, seeds, note)
            return
        batches = input_batches(request, input_shape, seeds, note)
        if self._group == "image":
            for number, read in enumerate(batches):
                if self._mine(number):
                    batch = read()
                    keys = [("", number, place) for place in range(len(batch.sources))]
                    self._inputs += keys
                    self._answers += keys
                    self._groups += [keys[place] for place in batch.usable]
                    yield batch
        else:
            yield self._own_groups(joined(read() for read in batches))

    def gathered(
        self,
        kind: type[_Answer],
        answers: Sequence[_Answer],
        recoveries: Sequence[RecoveryReport],
        left_out: Sequence[LeftOutTask],
    ) -> tuple[list[_Answer], list[RecoveryReport], tuple[LeftOutTask, ...]]:
        """Put the answers of all ranks in the order of the inputs, and recoveries in their groups'.

        Args:
            kind: of the answers: one for each group, or for each input.
            answers: this rank's, in the order of its batches.
            recoveries: this rank's, one for each group, or none at all.
            left_out: tasks that this rank had to do without.

        Raises:
            PartDeliveredError: another rank continues with them.
            NoInputError: no rank has a usable input.
        """
        if self.whole:
            return list(answers), list(recoveries), tuple(left_out)
        keys = self._answers if kind is InferredSource else self._inputs
        own = [[key, to_json(one)] for key, one in zip(keys, answers, strict=True)]
        of_groups = zip(self._groups if recoveries else (), recoveries, strict=True)
        masks = [[key, to_json(one)] for key, one in of_groups]
        parts = self._ranks.gathered([own, masks, [to_json(one) for one in left_out]])
        told = [from_json(kind, one) for one in _in_order(parts, 0)]
        if told and all(one.error for one in told):
            raise NoInputError(f"no usable image among the inputs; the first: {told[0].error}")
        recovered = [from_json(RecoveryReport, one) for one in _in_order(parts, 1)]
        return told, recovered, joined_left_out(part[2] for part in parts)

    def _mine(self, number: int) -> bool:
        return number % self._ranks.count == self._ranks.rank

    def _own_groups(self, batch: InputBatch) -> InputBatch:
        """Take this rank's groups from all inputs; rank 0 also takes the broken ones."""
        usable = batch.usable
        groups = group_places(self._group, [batch.folders[place] for place in usable])
        begins = np.cumsum([0, *map(len, groups)])[:-1] * self._ranks.count // max(1, len(usable))
        pairs = zip(begins.tolist(), groups, strict=True)
        own = [members for rank, members in pairs if rank == self._ranks.rank]
        broken = [place for place, error in enumerate(batch.errors) if error is not None]
        places = [usable[member] for members in own for member in members]
        places = sorted([*places, *broken] if self._ranks.rank == 0 else places)
        self._inputs = [("", place, 0) for place in places]
        firsts = [usable[members[0]] for members in own]
        told = [*firsts, *broken] if self._ranks.rank == 0 else firsts
        self._answers = [("", place, 0) for place in sorted(told)]
        by_folder = self._group == "folder"
        self._groups = [(batch.folders[one] if by_folder else "", one, 0) for one in firsts]
        images = {place: image for image, place in enumerate(usable)}
        return InputBatch(
            tuple(batch.sources[place] for place in places),
            tuple(batch.folders[place] for place in places),
            tuple(batch.errors[place] for place in places),
            batch.images[[images[place] for place in places if place in images]],
        )


def _in_order(parts: Sequence[Sequence[object]], which: int) -> list[Json]:
    """Merge the pairs of key and answer of all ranks, sorted by key."""
    lists = [cast("list[tuple[_Key, Json]]", part[which]) for part in parts]
    pairs = [(tuple(key), answer) for pairs in lists for key, answer in pairs]
    return [answer for _, answer in sorted(pairs, key=lambda pair: pair[0])]
