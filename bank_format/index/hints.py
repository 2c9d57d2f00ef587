"""Find out from the files of a damaged task whether the task might have been the answer.

A signature that fails its seal decides nothing. It only shows whether the damage matters: an answer
that the task could not have changed is given in spite of it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from bank_format.bank import Bank
from bank_format.encoding.sealed import parse_unchecked
from bank_format.encoding.strict_json import from_json
from bank_format.errors import BankError
from bank_format.index.coarse import CoarseRows, coarse_row
from bank_format.index.task_rows import StoredSignature, usable_signature
from bank_format.kinds.task_arrays import ArrayRecord, read_arrays
from bank_format.kinds.task_records import SignatureRecord
from bank_format.store.signatures import read_signature_file
from bank_format.store.tasks import read_task_file

__all__ = ["Hint", "hint_of"]


@dataclass(frozen=True, slots=True)
class Hint:
    """The signature that a damaged task seems to have.

    Attributes:
        coarse: its row; the seal of the row is not that of any file.
        signature: the whole signature.
    """

    coarse: CoarseRows
    signature: StoredSignature


def hint_of(bank: Bank, name: str) -> Hint | None:
    """Look for a signature in the files of a task that cannot be read; None if there is none."""
    with suppress(BankError, ValueError, KeyError, TypeError, AttributeError):
        found = _signature(bank, name)
        if found is not None:
            seal = sha256(f"hint of {name}".encode()).digest()
            return Hint(coarse_row(seal, found.arrays), found)
    return None


def _signature(bank: Bank, name: str) -> StoredSignature | None:
    found = parse_unchecked(read_task_file(bank.path, bank.record, name))
    metadata = found.metadata
    content = metadata["content"] if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(content, dict):
        return None
    if "signature" not in content:
        data = read_signature_file(bank.path, bank.record, name)
        if data is None:
            return None
        found = parse_unchecked(data)
        later = found.metadata["content"] if isinstance(found.metadata, dict) else None
        if not isinstance(later, dict) or later["task_sha256"] != metadata["content_sha256"]:
            return None
        content = later
    signature = from_json(SignatureRecord, content["signature"])
    stated = content["arrays"]
    records: Mapping[str, ArrayRecord] = {
        key: from_json(ArrayRecord, one)
        for key, one in (stated.items() if isinstance(stated, dict) else ())
        if key.startswith("signature/")
    }
    return usable_signature(signature, read_arrays(records, found.tensors))
