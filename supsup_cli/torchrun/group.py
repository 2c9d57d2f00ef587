"""The ranks of one command, through torch.distributed: they meet, gather results and report
failures.

torchrun's store serves as a board: who is there, how far each is, what failed. It is polled and
never waited for, so that Python can always react to a signal. Results go to rank 0 through gloo,
also on GPUs, because they are text and not tensors.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from supsup_cli.errors import PartDeliveredError, RankFailedError
from supsup_cli.torchrun.life import Board, Life
from supsup_cli.torchrun.place import Place

_LOOK_EVERY = 0.05  # seconds
# For one transfer between two ranks that are ready: it does not include waiting for work.
_TRANSFER = timedelta(seconds=60)
_PIECE = 2**24  # bytes
_LINE = 2**20  # bytes that the store accepts at once
# A failed rank stays until rank 0 has printed why, because torchrun ends all others when it exits.
_STAYS = 3.0  # seconds


@dataclass(frozen=True)
class Failure:
    """What ended a rank, as in a document; `beside` holds further keys of that document."""

    message: str
    hint: str
    slug: str
    exit_code: int
    beside: Mapping[str, object]


class RankGroup:
    """The `Ranks` of a command under torchrun; use `joined` to make one.

    Args:
        place: of this process.
        board: the shared store.

    Attributes:
        while_waiting: called now and then while this rank waits for others.
    """

    def __init__(self, place: Place, board: Board) -> None:
        self.rank, self.count = place.rank, place.count
        self._local = place.local_rank
        self._board = board
        self._life = Life(board, self.rank, self.count)
        self._meetings = 0
        self._counted = 0
        self.while_waiting: Callable[[], None] = lambda: None

    def meet(self) -> None:
        """Wait until all ranks have arrived here.

        Raises:
            RankFailedError: another rank failed, and this one must report it.
        """
        self._meetings += 1
        key = f"met/{self._meetings}"
        self._board.set(f"{key}/{self.rank}", "")
        everyone = [f"{key}/{rank}" for rank in range(self.count)]
        self._wait(lambda: self._board.check(everyone), range(1, self.count))

    def begin(self) -> None:
        """Start when all are there; before that, nothing may wait that a signal cannot end."""
        self.meet()
        self._life.begin()

    def connect(self, connecting: Callable[[], None]) -> None:
        """Connect to the others while signals are heard, and others that fail are noticed.

        Args:
            connecting: waits for the others in torch, where no signal reaches Python.

        Raises:
            RankFailedError: another rank failed or is silent, and this one is to say so.
            RuntimeError: they could not be reached.
        """
        ended: list[Exception | None] = []

        def connect() -> None:
            try:
                connecting()
                ended.append(None)
            except Exception as error:  # raised again below, where somebody hears of it
                ended.append(error)

        # nobody waits for it at the end: it may hang for as long as a transfer may take
        threading.Thread(target=connect, daemon=True).start()
        self._wait(lambda: bool(ended), range(1, self.count))
        if ended[0] is not None:
            raise ended[0]

    def gathered(self, part: Sequence[object]) -> list[Sequence[object]]:
        """Bring the parts of all ranks to rank 0; see `Ranks`."""
        if self.rank:
            self._deliver(json.dumps(part).encode())
            raise PartDeliveredError
        parts = [part]
        for rank in range(1, self.count):
            self._wait(partial(self._board.check, [f"part/{rank}"]), range(rank, self.count))
            with self._naming(rank):
                parts.append(json.loads(self._received(rank)))
        return parts

    def told(self, text: Callable[[], str]) -> str:
        """Send all ranks a text that only rank 0 can read; it may hold lone surrogates."""
        if self.rank == 0:
            data = text().encode("utf-8", "surrogateescape")
            lines = [data[start : start + _LINE] for start in range(0, len(data), _LINE)]
            for number, line in enumerate(lines):
                self._board.set(f"told/{number}", line)
            self._board.set("told", str(len(lines)))
            return data.decode("utf-8", "surrogateescape")
        self._wait(lambda: self._board.check(["told"]), ())
        count = int(self._board.get("told"))
        data = b"".join(self._board.get(f"told/{number}") for number in range(count))
        return data.decode("utf-8", "surrogateescape")

    def device(self, name: str) -> str:
        """Assign each rank of a machine a GPU of its own, as long as there are enough."""
        if name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self._local % torch.cuda.device_count()}"
        return name

    def count_units(self, units: int) -> int:
        """Add units of work that this rank has done.

        Returns:
            on rank 0 the units that the others have done since the last call, elsewhere 0.
        """
        if self.rank:
            self._board.add("units", units)
            return 0
        total = self._board.add("units", 0)
        others, self._counted = total - self._counted, total
        return others

    def check(self) -> None:
        """Check whether another rank failed.

        Raises:
            RankFailedError: it did, and this is rank 0.
        """
        if self.rank == 0:
            failure = self._posted()
            if failure is not None:
                raise failure

    def post(self, failure: Failure) -> None:
        """Report to rank 0 what ended this rank, and wait until rank 0 has printed it."""
        until = time.monotonic() + _STAYS
        with suppress(RuntimeError):  # torchrun has gone
            self._board.set(f"failed/{self.rank}", json.dumps(asdict(failure)))
            while time.monotonic() < until and not self._board.check(["said"]):
                time.sleep(_LOOK_EVERY)

    def cause(self) -> RankFailedError | None:
        """Find the rank that ended the command, if this rank must report it; else None.

        Rank 0 reports it, or if that is gone, the first rank that is left.
        """
        with suppress(RuntimeError):
            posted = self._posted() if self.rank == 0 else None
            if posted is not None:
                self._board.set("said", "")
                return posted
        gone = self._life.gone()
        if gone and self.rank == min({*range(self.count)} - {*gone}):
            return self._died(gone[0], "died")
        return None

    def end(self) -> None:
        """Leave, so that no rank waits for this one any longer."""
        self._life.end()
        if self.rank == 0:
            with suppress(RuntimeError):
                self._board.set("said", "")

    def _deliver(self, data: bytes) -> None:
        """Send a part to rank 0, and wait until it has arrived."""
        self._board.set(f"part/{self.rank}", str(len(data)))
        self._wait(lambda: self._board.check([f"wanted/{self.rank}"]), ())
        with self._naming(0):
            for start in range(0, len(data), _PIECE):
                piece = np.frombuffer(data[start : start + _PIECE], dtype=np.uint8).copy()
                dist.send(torch.from_numpy(piece), 0)
        self._wait(lambda: self._board.check([f"got/{self.rank}"]), ())

    def _received(self, rank: int) -> bytes:
        size = int(self._board.get(f"part/{rank}"))
        self._board.set(f"wanted/{rank}", "")
        data = torch.empty(size, dtype=torch.uint8)
        for piece in data.split(_PIECE):
            dist.recv(piece, rank)
        self._board.set(f"got/{rank}", "")
        return data.numpy().tobytes()

    @contextmanager
    def _naming(self, rank: int) -> Iterator[None]:
        """Name the rank at the broken end of a transfer."""
        try:
            yield
        except RuntimeError as error:
            raise self._died(rank, f"gave up ({str(error).splitlines()[0][:80]})") from error

    def _wait(self, done: Callable[[], bool], others: Sequence[int]) -> None:
        """Poll repeatedly, and also check whether others failed or are silent."""
        while not done():
            self.check()
            if self.rank == 0:
                silent = self._life.silent(others)
                if silent >= 0:
                    raise self._died(silent, "gives no sign of life")
            self.while_waiting()
            time.sleep(_LOOK_EVERY)

    def _posted(self) -> RankFailedError | None:
        for rank in range(1, self.count):
            if self._board.check([f"failed/{rank}"]):
                told = Failure(**json.loads(self._board.get(f"failed/{rank}")))
                return RankFailedError(
                    f"rank {rank}: {told.message}",
                    hint=told.hint,
                    slug=told.slug,
                    exit_code=told.exit_code,
                    beside=told.beside,
                )
        return None

    def _died(self, rank: int, how: str) -> RankFailedError:
        return RankFailedError(
            f"{self._life.who(rank)} {how}; every task finished before is kept",
            hint="type the same command again: it does what is left",
            slug="rank-died",
            exit_code=1,
            beside={},
        )


def _another_connection() -> Any:
    """Connect once more to the store's server: who waits in one connection holds it for itself."""
    stores: Any = dist  # whose stubs leave them out
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return stores.PrefixStore(f"gloo/{attempt}", stores.TCPStore(*address, is_master=False))


@contextmanager
def joined(place: Place) -> Iterator[RankGroup]:
    """Join the ranks of this command.

    Raises:
        RankFailedError: another rank failed meanwhile, and this one is to say so.
    """
    store, _, _ = next(rendezvous("env://"))
    group = RankGroup(place, store)
    try:
        try:
            group.begin()
            group.connect(
                lambda: dist.init_process_group(
                    "gloo",
                    store=_another_connection(),
                    rank=place.rank,
                    world_size=place.count,
                    timeout=_TRANSFER,
                )
            )
        except (KeyboardInterrupt, RuntimeError):
            cause = group.cause()  # torchrun ends the others when one has died
            if cause is None:
                raise
            raise cause from None
        yield group
    finally:
        group.end()
