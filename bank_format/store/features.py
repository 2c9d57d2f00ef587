"""features.safetensors of a bank: derived from the base, made once, made again if it is lost."""

from contextlib import suppress
from pathlib import Path

from bank_format.disk import files
from bank_format.disk.stores import Place
from bank_format.errors import BankError, StorageError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.features import Whitening, build_features, parse_features
from bank_format.store.layout import FEATURES_FILE, file_limit

__all__ = ["keep_features", "read_features"]


def read_features(bank: Place, record: BankRecord, model: str) -> Whitening | None:
    """Read what the file holds, checked in full; None if there is no usable file.

    Raises:
        StorageError: the system refused.
    """
    path = bank / FEATURES_FILE
    try:
        data = files.read_bytes(path, file_limit(record))
        found, whitening = parse_features(data, record, str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except StorageError:
        raise
    except BankError:
        return None  # `verify` reports it; what it holds is made again
    return whitening if found == model else None


def keep_features(bank: Path, record: BankRecord, model: str, whitening: Whitening) -> None:
    """Write the file for the next command, if the bank can be written; nothing depends on it."""
    with suppress(StorageError):
        files.replace(bank / FEATURES_FILE, build_features(record, model, whitening))
