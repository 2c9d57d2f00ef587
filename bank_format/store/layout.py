"""Where a bank's files lie, and reading the two that every bank has."""

import re
import shlex

from bank_format.disk.files import read_bytes
from bank_format.disk.stores import Place
from bank_format.encoding.sealed import HEADER_LIMIT, Tensors
from bank_format.errors import DamagedError, NoBankError
from bank_format.kinds.bank_json import BANK_FILE_LIMIT, BankRecord, BankSpec, parse_bank_file
from bank_format.kinds.base import parse_base

__all__ = [
    "BANK_FILE",
    "BASE_FILE",
    "CLAIM",
    "FEATURES_FILE",
    "HOPFIELD_FILE",
    "INDEX_LOCK",
    "MASKS",
    "QUARANTINE",
    "SIGNATURES",
    "SUFFIX",
    "WORK",
    "file_limit",
    "is_index_file",
    "read_base",
    "read_record",
]

BANK_FILE = "bank.json"
BASE_FILE = "base.safetensors"
HOPFIELD_FILE = "hopfield.safetensors"
FEATURES_FILE = "features.safetensors"
MASKS = "masks"
SIGNATURES = "signatures"
WORK = "work"
QUARANTINE = "quarantine"
SUFFIX = ".safetensors"
CLAIM = "claim"
INDEX_LOCK = ".index"  # in work/; no task's name
_INDEX_FILE = re.compile(r"index-(list|signatures)-[0-9a-f]{16}\.safetensors")


def is_index_file(name: str) -> bool:
    """Return whether a file of the bank's folder belongs to the index."""
    return _INDEX_FILE.fullmatch(name) is not None


def file_limit(spec: BankSpec) -> int:
    """Return the most bytes that a base or task file of this network may have.

    Twice the network in float32 leaves room for any statistics a task keeps.
    """
    return 2 * HEADER_LIMIT + 8 * spec.weights


def read_record(path: Place) -> BankRecord:
    """Read bank.json of the bank in a folder.

    Raises:
        NoBankError: there is none.
        DamagedError, NewerFormatError, StorageError: it cannot be read.
    """
    try:
        data = read_bytes(path / BANK_FILE, BANK_FILE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise NoBankError(
            f"{path}: no {BANK_FILE} found, expected a bank",
            hint=f"supsup init-base --bank {shlex.quote(str(path))}",
        ) from None
    return parse_bank_file(data, str(path / BANK_FILE))


def read_base(path: Place, record: BankRecord) -> Tensors:
    """Read base.safetensors of the bank in a folder, checked in full; tensors as stored.

    Raises:
        DamagedError, NewerFormatError, OtherBaseError, StorageError: it cannot be read.
    """
    base = path / BASE_FILE
    try:
        data = read_bytes(base, file_limit(record))
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(
            f"{base}: no such file found, expected base {record.base_sha256[:16]}…",
            hint="supsup init-base with the options the bank was made with writes it again",
        ) from None
    return parse_base(data, record.spec, record.base_sha256, str(base))
