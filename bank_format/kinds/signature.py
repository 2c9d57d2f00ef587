"""A signature's file: statistics in the frozen network of a task that has none in its own file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import SEAL_SIZE, read_sealed, seal
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import check_kind
from bank_format.kinds.task_arrays import ArrayRecord, Arrays, read_arrays, stored_arrays
from bank_format.kinds.task_metadata import check_content_sha256, content_sha256
from bank_format.kinds.task_records import SignatureRecord, check_arrays
from bank_format.names import check_digest, is_task_name

__all__ = ["SignatureContent", "StoredSignature", "build_signature", "parse_signature"]

_HINT = "remove the file, then: supsup tasks sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureContent:
    """Everything that content_sha256 covers besides the tensors.

    Args:
        task: whose signature it is.
        base_sha256: the base network that it was made with.
        task_sha256: content_sha256 of the task; another task with that name needs another
            signature.
        signature: how it was made.
        arrays: descriptions of its arrays, by name; at least one.
    """

    kind: Literal["signature"] = "signature"
    version: Literal[1] = 1
    task: str
    base_sha256: str
    task_sha256: str
    signature: SignatureRecord
    arrays: Mapping[str, ArrayRecord]

    def __post_init__(self) -> None:
        if not is_task_name(self.task):
            raise ValueError(f"task name {self.task[:80]!r} found, expected one a task can have")
        check_digest(self.base_sha256)
        check_digest(self.task_sha256)
        check_arrays(self.arrays, self.signature)


@dataclass(frozen=True, slots=True, eq=False)
class StoredSignature:
    """A signature's file as read and checked.

    Args:
        content: its content.
        arrays: by name, in their types and shapes.
        bytes_on_disk: size of the file, bytes.
        seal: its last 32 bytes.
    """

    content: SignatureContent
    arrays: Arrays
    bytes_on_disk: int
    seal: bytes


def build_signature(
    record: BankRecord,
    task: str,
    task_sha256: str,
    signature: SignatureRecord,
    arrays: Arrays,
) -> bytes:
    """Write a signature's file; equal signatures give equal bytes.

    Args:
        record: of the bank.
        task: whose signature it is.
        task_sha256: that task's content_sha256.
        signature: how it was made.
        arrays: its numbers, see `stored_arrays`; names begin with signature/.

    Raises:
        ValueError: no arrays, other names, or a type that the format does not have.
    """
    records, tensors = stored_arrays(arrays)
    content = SignatureContent(
        task=task,
        base_sha256=record.base_sha256,
        task_sha256=task_sha256,
        signature=signature,
        arrays=records,
    )
    stated = to_json(content)
    return seal(tensors, {"content": stated, "content_sha256": content_sha256(stated, tensors)})


def parse_signature(data: bytes, record: BankRecord, task: str, name: str) -> StoredSignature:
    """Read a signature's file, checked in full.

    Args:
        data: the whole file.
        record: of the bank.
        task: the name that the file's name stands for.
        name: the file's name, for messages.

    Raises:
        DamagedError: anything but what `build_signature` writes, or another task's name inside.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the signature belongs to another base.
    """
    sealed = read_sealed(data, name)
    stated = check_kind(sealed.metadata, "signature", name)
    with damage(name, "I5", hint=_HINT):
        if not isinstance(sealed.metadata, dict) or sealed.metadata.keys() != {
            "content",
            "content_sha256",
        }:
            raise ValueError("metadata keys are not ['content', 'content_sha256']")
        content = from_json(SignatureContent, stated, "content")
    with damage(name, "I7", hint=_HINT):
        if content.task != task:
            raise ValueError(f"task {content.task!r} found inside, expected {task!r}")
    if content.base_sha256 != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {content.base_sha256[:16]}… found, "
            f"this bank has {record.base_sha256[:16]}…",
            hint="move the file to the bank it belongs to",
            invariant="I8",
        )
    with damage(name, "I9", hint=_HINT):
        if sealed.tensors.keys() != content.arrays.keys():
            raise ValueError(
                f"tensors {sorted(sealed.tensors)} found, expected {sorted(content.arrays)}"
            )
        arrays = read_arrays(content.arrays, sealed.tensors)
    check_content_sha256(sealed, name)
    return StoredSignature(content, arrays, sealed.size, data[-SEAL_SIZE:])
