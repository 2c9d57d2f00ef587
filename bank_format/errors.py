"""What can go wrong with a bank: one tree, each class with the exit code the command line answers.

    BankError
    ├── BadNameError        2   bad-name       a name that no task can have
    ├── NoSuchTaskError     2   no-such-task   the bank has no task of that name
    ├── DamagedError        5   damaged        bytes that are not what was written
    ├── NoBankError        10   no-bank        no bank in that folder
    ├── NameTakenError     11   name-taken     the name stands for something else already
    ├── LockedError        11   locked         another live process is learning that task
    ├── InUseError         11   in-use         a task that another one is made of
    ├── OtherBaseError     12   other-base     a task of another base network
    ├── NewerFormatError   12   newer-format   a version or kind this reader does not know
    └── StorageError       13   storage        no space, read-only, another failure of the system

A programming mistake is not a BankError but a plain ValueError, raised where the value is used.
"""

from typing import ClassVar

__all__ = [
    "BadNameError",
    "BankError",
    "DamagedError",
    "InUseError",
    "LockedError",
    "NameTakenError",
    "NewerFormatError",
    "NoBankError",
    "NoSuchTaskError",
    "OtherBaseError",
    "StorageError",
]


class BankError(Exception):
    """An error with a one-line message that names the file or task and both values.

    Args:
        message: one line; line breaks (from a name or the system) become spaces.
        hint: the next command to type or thing to do; empty when there is none.
        invariant: the one of FORMAT.md that a file breaks, such as "I4"; empty if none.
    """

    slug: ClassVar[str] = "bank"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", invariant: str = "") -> None:
        self.message = " ".join(message.splitlines())
        self.hint = " ".join(hint.splitlines())
        self.invariant = invariant
        super().__init__(self.message)


class BadNameError(BankError):
    """A name that no task can have."""

    slug = "bad-name"
    exit_code = 2


class NoSuchTaskError(BankError):
    """The bank has no task of that name."""

    slug = "no-such-task"
    exit_code = 2


class DamagedError(BankError):
    """A file's bytes are not what a writer of this format wrote."""

    slug = "damaged"
    exit_code = 5


class NoBankError(BankError):
    """No bank in that folder."""

    slug = "no-bank"
    exit_code = 10


class NameTakenError(BankError):
    """The name stands for something else already; nothing was changed."""

    slug = "name-taken"
    exit_code = 11


class LockedError(BankError):
    """Another live process holds the claim on a task."""

    slug = "locked"
    exit_code = 11


class InUseError(BankError):
    """A task that a combination is made of; nothing was changed."""

    slug = "in-use"
    exit_code = 11


class OtherBaseError(BankError):
    """A task with masks of another base network."""

    slug = "other-base"
    exit_code = 12


class NewerFormatError(BankError):
    """A version or kind that this reader does not know; the other files are unaffected."""

    slug = "newer-format"
    exit_code = 12


class StorageError(BankError):
    """The system refused to read or write: no space, read-only, no permission, an I/O error."""

    slug = "storage"
    exit_code = 13
