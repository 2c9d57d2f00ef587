"""A stream being learned: the learner, its decisions, and what is kept under work/."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from bank_format.kinds.state import WorkFolder, WorkState, read_part, write_part
from supsup_cli.core.streams.stream_learner import StreamDecision, StreamLearner, StreamSettings
from supsup_cli.core.streams.stream_masks import FrozenNetwork, StreamMask

_SEAL = 32  # bytes
_NONE = -1


class StreamRun:
    """One run over a stream, which `Checkpoints` may save and resume.

    Each open mask is a separate part of the state, written only if it has learned since.

    Args:
        work: folder of the stream, which the caller has claimed.
        plan: digest of all that decides what is learned.
        shared: the network.
        settings: of the learner.

    Attributes:
        learner: see `StreamLearner`.
        decisions: of the learner so far, in order.
    """

    def __init__(
        self, work: WorkFolder, plan: str, shared: FrozenNetwork, settings: StreamSettings
    ) -> None:
        self.learner = StreamLearner(shared, settings)
        self.decisions: list[StreamDecision] = []
        self._work = work
        self._plan = plan
        self._shared = shared
        self._settings = settings
        self._parts: dict[int, tuple[int, str]] = {}  # mask → its steps when written, its part

    @property
    def steps_done(self) -> int:
        """Number of batches of the stream that are done."""
        return self.learner.settled

    def feed(self, images: Tensor, targets: Tensor) -> None:
        """Learn from one batch; see `StreamLearner.feed`."""
        decision = self.learner.feed(images, targets)
        if decision is not None:
            self.decisions.append(decision)

    def write_parts(self) -> list[str]:
        """Write the masks that have learned since they were last written; return the parts of all
        masks.

        Raises:
            StorageError: the system refused.
        """
        for number, mask in enumerate(self.learner.masks):
            if self._parts.get(number, (_NONE, ""))[0] != mask.steps:
                tensors = {name: np.asarray(tensor) for name, tensor in mask.state().items()}
                part = write_part(self._work, WorkState(self._plan, mask.steps, tensors))
                self._parts[number] = (mask.steps, part)
        return self._names()

    def state(self) -> dict[str, Tensor]:
        """Copy all that the next batch depends on, besides the masks.

        Returns:
            "masks", (M, 32) uint8: seals of the parts that `write_parts` wrote; "current",
            () float64: the mask in use, −1 for none; "decisions/batch", "decisions/mask" (−1 for
            none) and "decisions/new", (D,) float64, float32 and uint8.
        """
        seals = np.frombuffer(bytes.fromhex("".join(self._names())), dtype=np.uint8)
        current = self.learner.current
        told = self.decisions
        masks = [_NONE if one.mask is None else one.mask for one in told]
        return {
            "masks": torch.from_numpy(seals.reshape(-1, _SEAL).copy()),
            "current": torch.tensor(_NONE if current is None else current, dtype=torch.float64),
            "decisions/batch": torch.tensor([one.batch for one in told], dtype=torch.float64),
            "decisions/mask": torch.tensor(masks, dtype=torch.float32),
            "decisions/new": torch.tensor([one.new for one in told], dtype=torch.uint8),
        }

    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue where another run over the same stream stopped.

        Args:
            state: what `state` returned.
            steps_done: of that run.

        Raises:
            ValueError: the state has another form.
            BankError: a mask of it cannot be read.
        """
        own = self.state()
        for name in own.keys() | state.keys():
            expected, found = _form(own.get(name)), _form(state.get(name))
            if found != expected or not bool(state[name].isfinite().all()):
                raise ValueError(f"state {name}: {found} found, expected {expected}")
        masks = []
        for number, seal in enumerate(state["masks"]):
            name = bytes(seal.tolist()).hex()
            part = read_part(self._work, name)
            tensors = {key: torch.from_numpy(one.copy()) for key, one in part.tensors.items()}
            masks.append(StreamMask.load(self._shared, tensors))
            self._parts[number] = (masks[-1].steps, name)
        rows = zip(
            *(state[f"decisions/{key}"].tolist() for key in ("batch", "mask", "new")), strict=True
        )
        self.decisions = [
            StreamDecision(int(batch), None if mask == _NONE else int(mask), bool(new))
            for batch, mask, new in rows
        ]
        current = int(state["current"])
        self.learner = StreamLearner.resume(
            self._shared, self._settings, masks, None if current == _NONE else current, steps_done
        )

    def _names(self) -> list[str]:
        return [self._parts[number][1] for number in range(len(self.learner.masks))]


def _form(tensor: Tensor | None) -> tuple[torch.dtype, torch.Size, int] | None:
    """Return a tensor's type, its sizes but the first, and its number of dimensions."""
    return None if tensor is None else (tensor.dtype, tensor.shape[1:], tensor.dim())
