"""What the metadata of all kinds of task files have in common, and how it is checked."""

import hashlib
from collections.abc import Mapping
from typing import TypeVar

from bank_format.encoding.canonical_json import Json, JsonObject, canonical, joined
from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import Tensor, Tensors, Unsealed
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import check_kind, describe_tensors
from bank_format.kinds.combination_records import CombinationContent
from bank_format.kinds.task_records import Provenance, TaskContent, TaskFacts

__all__ = [
    "HINT",
    "build_metadata",
    "check_classes",
    "check_content_sha256",
    "content_sha256",
    "parse_metadata",
]

HINT = "restore the file from a copy, or remove the task"

_KEYS = {"content", "content_sha256", "provenance"}
_Content = TypeVar("_Content", TaskContent, CombinationContent)


def content_sha256(content: Json, tensors: Mapping[str, Tensor]) -> str:
    """Digest a task: SHA-256 of its canonical content and the tensors' descriptions."""
    return _digest(canonical(content), tensors)


def build_metadata(content: _Content, provenance: Provenance, tensors: Tensors) -> JsonObject:
    """Write a task file's metadata.

    Raises:
        ValueError: something a reader would refuse, such as an int where a float belongs.
    """
    stated, told = to_json(content), to_json(provenance)
    from_json(type(content), stated, "content")
    from_json(Provenance, told, "provenance")
    digest = content_sha256(stated, tensors)
    return {"content": stated, "content_sha256": digest, "provenance": told}


def parse_metadata(
    metadata: Json, kind: str, of: type[_Content], record: BankRecord, task: str, name: str
) -> tuple[_Content, Provenance]:
    """Read a task file's metadata, except its digest.

    Args:
        metadata: of the file.
        kind: the kind it must be of.
        of: record of that kind's content.
        record: of the bank.
        task: the name that the file's name stands for.
        name: the file's name, for messages.

    Raises:
        DamagedError: anything but what `build_metadata` writes, or another task's name inside.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the masks belong to another base.
    """
    stated = check_kind(metadata, kind, name)
    with damage(name, "I5", hint=HINT):
        if not isinstance(metadata, dict) or metadata.keys() != _KEYS:
            raise ValueError(f"metadata keys are not {sorted(_KEYS)}")
        content = from_json(of, stated, "content")
        provenance = from_json(Provenance, metadata["provenance"], "provenance")
    with damage(name, "I7", hint=HINT):
        if content.task != task:
            raise ValueError(f"task {content.task!r} found inside, expected {task!r}")
    if content.base_sha256 != record.base_sha256:
        raise OtherBaseError(
            f"{name}: base {content.base_sha256[:16]}… found, "
            f"this bank has {record.base_sha256[:16]}…",
            hint="move the file to the bank it belongs to",
            invariant="I8",
        )
    return content, provenance


def check_content_sha256(sealed: Unsealed, name: str) -> str:
    """Return the digest of a sealed file's content, which the file must state.

    Args:
        sealed: a file with an object with a content as metadata.
        name: the file's name, for messages.

    Raises:
        DamagedError: it states another one.
    """
    with damage(name, "I10", hint=HINT):
        digest = _digest(sealed.texts["content"], sealed.tensors)
        if sealed.texts.get("content_sha256") != canonical(digest):
            raise ValueError(f"content_sha256 is not that of the content, {digest[:16]}…")
    return digest


def check_classes(content: TaskFacts, record: BankRecord) -> None:
    """Refuse classes with outputs that the bank does not have.

    Raises:
        ValueError: an output is not below `real_outputs`.
    """
    highest = max(one.output for one in content.classes)
    if highest >= record.real_outputs:
        raise ValueError(f"output {highest} found, expected below {record.real_outputs}, all real")


def _digest(content: bytes, tensors: Mapping[str, Tensor]) -> str:
    covered = joined({"content": content, "tensors": canonical(describe_tensors(tensors))})
    return hashlib.sha256(covered).hexdigest()
