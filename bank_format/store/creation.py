"""Create a bank. If this is killed at any step, running it again completes the bank."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path

from bank_format.disk.atomic import is_temporary
from bank_format.disk.files import exists, list_names, make_folder, settle, write_new
from bank_format.encoding.sealed import Tensor
from bank_format.errors import NameTakenError, NoBankError, OtherBaseError
from bank_format.kinds.bank_json import BankRecord, BankSpec, build_bank_file
from bank_format.kinds.base import base_sha256, build_base
from bank_format.names import shortened
from bank_format.store.layout import (
    BANK_FILE,
    BASE_FILE,
    FEATURES_FILE,
    HOPFIELD_FILE,
    MASKS,
    QUARANTINE,
    SIGNATURES,
    WORK,
    is_index_file,
    read_base,
    read_record,
)

__all__ = ["create_bank"]

_OTHER_FOLDER = "choose another folder with --bank, or remove this one if nothing in it is needed"


def create_bank(
    path: Path, spec: BankSpec, tensors: Mapping[str, Tensor]
) -> tuple[BankRecord, bool]:
    """Create a bank, or find one with an equal spec and base; bank.json is written last.

    Args:
        path: the folder; made if it is missing.
        spec: what the base is made from.
        tensors: the base as stored; see `build_base`.

    Returns:
        What bank.json says, and whether this call wrote it.

    Raises:
        NameTakenError: the folder holds another bank or something else.
        DamagedError, NewerFormatError: the bank there cannot be read.
        StorageError: the system refused.
        ValueError: the tensors are not those that the spec demands.
    """
    base = build_base(spec, tensors)
    fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(BankSpec)}
    record = BankRecord(**fields, base_sha256=base_sha256(spec, tensors))
    written = build_bank_file(record)
    there = _holds(path, record)
    if not there:
        _refuse_other_content(path)
    for folder in (path, path / MASKS, path / WORK):
        make_folder(folder)
    _complete_base(path, record, base)
    # Before bank.json appears: a learner relies on the folders above it, even if a create that was
    # killed made them.
    for folder in path.absolute().parents:
        settle(folder)
    if there:
        settle(path)
    else:
        try:
            write_new(path / BANK_FILE, written)
        except NameTakenError:
            there = _holds(path, record)  # another create was faster
    return record, not there


def _holds(path: Path, record: BankRecord) -> bool:
    try:
        found = read_record(path)
    except NoBankError:
        return False
    for field in dataclasses.fields(BankRecord):
        there, asked = getattr(found, field.name), getattr(record, field.name)
        if there != asked:
            raise NameTakenError(
                f"{path}: a bank with {field.name} {shortened(there, 80)} found, "
                f"asked for {shortened(asked, 80)}; it is unchanged",
                hint=_OTHER_FOLDER,
            )
    return True


def _refuse_other_content(path: Path) -> None:
    try:
        names = list_names(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise NameTakenError(f"{path}: a file found, expected a folder") from None
    known = {BASE_FILE, FEATURES_FILE, HOPFIELD_FILE, MASKS, QUARANTINE, SIGNATURES, WORK}
    others = [name for name in names if name not in known and not is_temporary(name)]
    strangers = [name for name in others if not is_index_file(name)]
    if strangers:
        raise NameTakenError(
            f"{path}: {strangers[0]!r} found, expected an empty folder or a bank",
            hint=f"supsup init-base --bank {shlex.quote(str(path / 'bank'))}",
        )


def _complete_base(path: Path, record: BankRecord, base: bytes) -> None:
    if not exists(path / BASE_FILE):
        try:
            write_new(path / BASE_FILE, base)
        except NameTakenError:
            pass  # another create was faster; what it wrote is checked below
        else:
            return
    try:
        read_base(path, record)
    except OtherBaseError as error:
        raise NameTakenError(f"{error}; it is unchanged", hint=_OTHER_FOLDER) from error
