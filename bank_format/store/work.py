"""Work in progress of a bank: one folder for each task that is being learned, or was stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.state import WorkFolder
from bank_format.names import check_task_name
from bank_format.store import claims
from bank_format.store.layout import MASKS, WORK

__all__ = ["Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What learners hold and leave under work/.

    Args:
        bank: the bank's folder.
        record: the content of bank.json.
    """

    bank: Path
    record: BankRecord

    @contextmanager
    def claim(self, name: str) -> Iterator[WorkFolder]:
        """Claim a task's name while it is being learned; a dead process's claim does not block.

        Best effort across machines: whoever commits first has the name.

        Yields:
            The place for the learner's state, and for what an earlier learner left.

        Raises:
            BadNameError: no task can have that name.
            LockedError: another live process holds the claim.
            StorageError: the bank cannot be written.
        """
        folder = self._folder(name)
        with claims.claimed(folder):
            yield WorkFolder(folder, name, self.record)

    def check_claimable(self, name: str) -> None:
        """Refuse early what `claim` and `Bank.add_task` would refuse; claims nothing.

        Raises:
            BankError: as `claim`.
        """
        claims.check_claimable(self._folder(name), self.bank / MASKS)

    def unfinished(self) -> list[str]:
        """List the tasks with unfinished work of stopped learners, sorted.

        Raises:
            StorageError: the system refused.
        """
        return claims.unfinished_work(self.bank / WORK)

    def discard(self, name: str) -> None:
        """Remove what a stopped learner left under a name.

        Raises:
            BankError: as `claims.discard_work`.
        """
        claims.discard_work(self._folder(name))

    def _folder(self, name: str) -> Path:
        return self.bank / WORK / check_task_name(name)
