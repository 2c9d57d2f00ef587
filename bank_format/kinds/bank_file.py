"""bank.json: canonical JSON with its own digest, read before anything else of a bank."""

import hashlib
from typing import Literal

from bank_format.encoding.canonical_json import canonical, parse_canonical
from bank_format.encoding.damage import damage
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import NewerFormatError
from bank_format.kinds.bank_json import FORMAT_VERSION, BankRecord

__all__ = ["BANK_FILE_LIMIT", "build_bank_file", "parse_bank_file"]

BANK_FILE_LIMIT = 8 * 2**20  # bytes
_FORMAT: Literal["supsup-bank"] = "supsup-bank"
_HINT = "restore the file from a copy"


def build_bank_file(record: BankRecord) -> bytes:
    """Write bank.json.

    Raises:
        ValueError: a value of a type that a reader would refuse.
    """
    value = to_json(record)
    from_json(BankRecord, value)
    if not isinstance(value, dict):
        raise ValueError("a record that is no JSON object")
    return canonical({**value, "sha256": _digest(canonical(value))}) + b"\n"


def parse_bank_file(data: bytes, name: str) -> BankRecord:
    """Read bank.json, checked in full.

    Raises:
        DamagedError: anything but what `build_bank_file` writes.
        NewerFormatError: a version or kind this reader does not know.
    """
    with damage(name, "I3", hint=_HINT):
        if data[-1:] != b"\n":
            raise ValueError("no final newline")
        value = parse_canonical(data[:-1])
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
    with damage(name, "I2", hint=_HINT):
        stated = value.pop("sha256", None)
        digest = _digest(canonical(value))
        if stated != digest:
            raise ValueError(f"sha256 {str(stated)[:16]} found, expected {digest[:16]}…")
    with damage(name, "I4", hint=_HINT):
        version, kind = value.get("version"), value.get("kind")
        if value.get("format") != _FORMAT or type(version) is not int or version < 1:
            raise ValueError(f"format and version are not {_FORMAT!r} and a number from 1 on")
    if version > FORMAT_VERSION or kind != "base":
        raise NewerFormatError(
            f"{name}: kind {str(kind)[:40]!r} version {version} found, "
            f"this supsup reads 'base' up to version {FORMAT_VERSION}",
            hint="pip install --upgrade supsup",
            invariant="I4",
        )
    with damage(name, "I5", hint=_HINT):
        return from_json(BankRecord, value)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text + b"\n").hexdigest()
