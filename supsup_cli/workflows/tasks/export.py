"""`tasks export`: write a task as a network of its own, or its sealed file, outside the bank."""

import shlex
from pathlib import Path
from typing import Literal

from bank_format.bank import Bank
from bank_format.disk import files
from bank_format.errors import DamagedError, NameTakenError
from bank_format.kinds.mask import Task
from bank_format.store.layout import MASKS
from supsup_cli.errors import UsageError
from supsup_cli.workflows.results.tasks import ExportedTask, ExportResult

Form = Literal["safetensors", "onnx", "sealed"]


def export_task(path: Path, name: str, file: Path, *, sealed: bool, dry_run: bool) -> ExportResult:
    """Write a task to a file outside the bank, never over another file.

    Args:
        path: the bank's folder.
        name: the task.
        file: the file to write; a name that ends in .onnx asks for ONNX.
        sealed: write the task's own file, byte by byte, instead of a network.
        dry_run: write nothing.

    Raises:
        UsageError: the file would lie in the bank, or a package that ONNX needs is missing.
        NameTakenError: another file is there; it is unchanged.
        BankError: the bank or the task cannot be read, the file cannot be written.
    """
    bank = Bank.open(path)
    task, sealed_bytes = bank.read_sealed(name)
    folder = file.parent.resolve()
    # masks/ may be a link to another disk, so its files are outside too
    if any(folder.is_relative_to(one.resolve()) for one in (path, path / MASKS)):
        raise UsageError(
            f"{file}: a place inside the bank found, expected one outside",
            hint=f"supsup tasks copy {name} --from {shlex.quote(str(path))} --as NEW-NAME "
            f"--bank {shlex.quote(str(path))}",
        )
    form: Form = "sealed" if sealed else "onnx" if file.suffix == ".onnx" else "safetensors"
    data = sealed_bytes if sealed else _network_bytes(path, task, form)
    status = "exists" if _already_written(file, data) else "would-export"
    if status != "exists" and not dry_run:
        try:
            files.write_new(file, data)
            status = "exported"
        except NameTakenError:
            if not _already_written(file, data):  # another command was faster
                raise
            status = "exists"
    elif not dry_run:
        files.settle(file.parent)
    exported = ExportedTask(name, status, str(file), len(data), task.content_sha256, form)
    return ExportResult((exported,), dry_run)


def _network_bytes(path: Path, task: Task, form: Form) -> bytes:
    from supsup_cli.workflows.tasks import (
        network_files,  # imports torch, which a sealed file does not need
    )

    network = network_files.open_task_network(path, task)
    if form == "onnx":
        return network_files.onnx_bytes(network)
    return network_files.safetensors_bytes(network)


def _already_written(file: Path, data: bytes) -> bool:
    try:
        found = files.read_bytes(file, len(data))
    except FileNotFoundError:
        return False
    except (NotADirectoryError, DamagedError):
        found = b""
    if found != data:
        raise NameTakenError(
            f"{file}: something else found, expected no file or this task's {len(data)} bytes; "
            "it is unchanged",
            hint="choose another file",
        )
    return True
