"""What the two parts of the index have in common: their names, and how their files are checked."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Literal, TypeAlias, TypeVar

from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import Tensors, read_sealed
from bank_format.encoding.strict_json import from_json
from bank_format.errors import OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import check_kind
from bank_format.store.layout import is_index_file

__all__ = ["INDEX_LIMIT", "PARTS", "Part", "list_file", "part_of", "read_part", "signatures_beside"]

Part: TypeAlias = Literal["list", "signatures"]
PARTS: Final[tuple[Part, ...]] = ("list", "signatures")
INDEX_LIMIT: Final = 2**36  # bytes
_Content = TypeVar("_Content")


def list_file(seals: Iterable[bytes]) -> str:
    """Name the file of a list by the seals of the tasks' files."""
    return f"index-list-{sha256(b''.join(seals)).hexdigest()[:16]}.safetensors"


def signatures_beside(name: str) -> str:
    """Name the file that has the signatures of a list's tasks."""
    return name.replace("index-list-", "index-signatures-", 1)


def part_of(name: str) -> Part | None:
    """Return the part of the index that a file of the bank's folder is; None for another file."""
    if not is_index_file(name):
        return None
    return next(one for one in PARTS if name.startswith(f"index-{one}-"))


def read_part(
    of: type[_Content], data: bytes, record: BankRecord, name: str
) -> tuple[_Content, Tensors]:
    """Read a part's file and check all but the values of its tensors, which are views of the data.

    Args:
        of: what its content says, with a field `base_sha256`.
        data: the whole file.
        record: of the bank.
        name: the file's name, for messages.

    Raises:
        DamagedError, NewerFormatError, OtherBaseError: see `parse_list`.
    """
    sealed = read_sealed(data, name, views=True)
    stated = check_kind(sealed.metadata, "index", name)
    with damage(name, "I5"):
        if sealed.metadata != {"content": stated}:
            raise ValueError("metadata keys are not ['content']")
        content = from_json(of, stated, "content")
    found = stated["base_sha256"]
    if found != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {str(found)[:16]}… found, this bank has {record.base_sha256[:16]}…",
            hint="remove the file: it is made again",
            invariant="I8",
        )
    return content, sealed.tensors
