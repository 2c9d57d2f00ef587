"""Learn from a stream of batches without task labels (scenario NNs).

The learner sees images and labels, batch by batch, and nothing else: not which task a batch belongs
to, where a task ends, or how many there are. Two rules say when to open another mask. "loss", the
better one: if a batch surprises its mask, compared with that mask's past losses, it goes to the
mask that it does not surprise, or to a new one if there is none. "paper": Wortsman et al. 2020,
section 3.5, every so many batches. Every mask has its own optimiser, which continues when its task
comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from supsup_cli.core.masks.masks import Masks, initial_scores, threshold

from .allocation import alpha_weights, needs_new_mask
from .stream_masks import Fit, FrozenNetwork, StreamMask

Rule = Literal["loss", "paper"]
RULES: tuple[Rule, ...] = ("loss", "paper")

# A batch surprises a mask if its loss exceeds the mask's running mean by more than this many times
# the usual excess, and by this many nats. Unknown permutations exceed it by 2 nats and more.
_EXCESSES = 12.0
_NATS = 0.2
# Before a mask has learned from so many batches, its past losses say nothing about the next.
_YOUNG = 10
# So many batches in a row must fit no mask before a new one is opened; one odd batch opens none.
_PATIENCE = 3
# The paper's code superimposes at least five masks, including ones that have learned nothing.
_PAPER_LEAST = 5


@dataclass(frozen=True)
class StreamDecision:
    """The mask that batches from `batch` on belong to, as far as the learner can tell.

    Attributes:
        batch: counted from 0.
        mask: counted from 0 in the order of opening; None if the budget is used up.
        new: whether no mask knew the batch.
    """

    batch: int
    mask: int | None
    new: bool


@dataclass(frozen=True)
class StreamSettings:
    """How a stream is learned.

    Attributes:
        budget: number of masks that may be opened, at least 1.
        check_every: batches between two comparisons of all masks; with rule "loss", a surprise also
            causes one.
        rule: when to open another mask.
        seed: of the masks' first scores.
    """

    budget: int
    check_every: int = 100
    rule: Rule = "loss"
    seed: int = 0


class StreamLearner:
    """Learn masks from batches in the order they come.

    Attributes:
        masks: the open masks in the order of opening.
    """

    def __init__(self, shared: FrozenNetwork, settings: StreamSettings) -> None:
        self.masks: list[StreamMask] = []
        self._shared = shared
        self._settings = settings
        self._current: int | None = None
        self._batches = 0
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def feed(self, images: Tensor, targets: Tensor) -> StreamDecision | None:
        """Learn from one batch, or keep it until it is clear what it belongs to.

        Args:
            images: (B, C, H, W) uint8 on the network's device.
            targets: (B,) int64, the output for each image's class.

        Returns:
            a decision if all masks were compared, else None.
        """
        due = self._batches % self._settings.check_every == 0
        self._batches += 1
        if self._settings.rule == "paper":
            decision = self._paper(images) if due else None
            if self._current is not None:
                self.masks[self._current].learn(images, targets)
            return decision
        if not due and not self._waiting and self._current is not None:
            mask = self.masks[self._current]
            if not mask.learn(images, targets, most=_most(mask.fit)) > _most(mask.fit):
                return None
        return self._compare(images, targets)

    @property
    def settled(self) -> int:
        """Number of batches that are done: all that were fed, except those that wait.

        Waiting batches have changed nothing. So a learner that continues from here and gets them
        again decides as this one would.
        """
        return self._batches - len(self._waiting)

    @property
    def current(self) -> int | None:
        """The mask that gets batches as long as they do not surprise it."""
        return self._current

    @classmethod
    def resume(
        cls,
        shared: FrozenNetwork,
        settings: StreamSettings,
        masks: Sequence[StreamMask],
        current: int | None,
        settled: int,
    ) -> "StreamLearner":
        """Continue where another learner of the same stream stopped, with the batches from
        `settled` on.

        Raises:
            ValueError: more masks than the budget has, a current one that is not among them, or
                less than no batches.
        """
        if len(masks) > settings.budget or settled < 0:
            raise ValueError(f"{len(masks)} masks after {settled} batches found")
        if current is not None and not 0 <= current < len(masks):
            raise ValueError(f"current mask {current} found among {len(masks)}")
        learner = cls(shared, settings)
        learner.masks.extend(masks)
        learner._current = current
        learner._batches = settled
        return learner

    def _compare(self, images: Tensor, targets: Tensor) -> StreamDecision | None:
        """Pass the batch, and those that wait, to the mask it surprises least, or keep waiting.

        The batch decides alone: an odd one before it would make the mean of both odd.
        """
        self._waiting.append((images, targets))
        losses = [mask.loss(images, targets) for mask in self.masks]
        known = [place for place, mask in enumerate(self.masks) if losses[place] <= _most(mask.fit)]
        if not known and self.masks and len(self._waiting) < _PATIENCE:
            return None
        first = self._batches - len(self._waiting)
        chosen = min(known, key=lambda place: losses[place]) if known else self._open()
        repeated = chosen is None and self._current is None and self.masks != []
        self._current = chosen
        if chosen is not None:
            mask = self.masks[chosen]
            for batch in self._waiting:
                mask.learn(*batch, most=_most(mask.fit))
        self._waiting.clear()
        return None if repeated else StreamDecision(first, chosen, not known)

    def _open(self) -> int | None:
        """Open a mask if the budget has one left."""
        number = len(self.masks)
        if number == self._settings.budget:
            return None
        fresh = StreamMask.fresh(self._shared, seed=self._settings.seed, name=_name(number))
        self.masks.append(fresh)
        return number

    def _paper(self, images: Tensor) -> StreamDecision:
        """Compare all masks by one gradient, with the mean entropy of the batch."""
        first = self._batches - 1
        if self.masks:
            stack = [threshold(mask.scores) for mask in self.masks]
            stack += [self._unlearned(n) for n in range(len(self.masks), _PAPER_LEAST)]
            weights = alpha_weights(self._shared, stack, images)
            best = int(weights.argmax())
            if best < len(self.masks) and not needs_new_mask(weights):
                self._current = best
                return StreamDecision(first, best, new=False)
        self._current = self._open()
        return StreamDecision(first, self._current, new=True)

    def _unlearned(self, number: int) -> Masks:
        weights = self._shared.weights
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        drawn = initial_scores(shapes, seed=self._settings.seed, task=_name(number))
        return threshold({name: drawn[name].to(weight.device) for name, weight in weights.items()})


def _most(fit: Fit) -> float:
    """Return the loss above which a batch surprises a mask, nats."""
    if fit.batches < _YOUNG:
        return float("inf")
    return fit.mean + max(_NATS, _EXCESSES * fit.excess)


def _name(number: int) -> str:
    return f"stream {number}"
