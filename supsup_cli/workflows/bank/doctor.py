"""`doctor`: check what this machine and the bank's file system can do, and run a self-test."""

import dataclasses
import importlib
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from bank_format.bank import Bank
from bank_format.errors import BankError, NoBankError
from supsup_cli import __version__
from supsup_cli.hints import keep_bank
from supsup_cli.temporary import imports_without_temporary_folder, temporary_folder
from supsup_cli.workflows.bank.file_system import check_file_system
from supsup_cli.workflows.results.bank import Check, DoctorResult

_MODULES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "safetensors": "safetensors",
    "bitarray": "bitarray",
    "pillow": "PIL",
}
_UNUSABLE = 1
_TASK_BYTES = 41_600  # of LeNet 300-100 with 500 outputs, used if there is no bank


def doctor(path: Path, device: str) -> DoctorResult:
    """Check the machine, and a bank or a folder for one; damage is a result, not an exception.

    Args:
        path: a bank, a folder, or something missing; then only the machine is checked.
        device: device of the self-test.
    """
    checks = [*_check_versions()]
    if all(one.status == "ok" for one in checks):
        from supsup_cli.workflows.bank.self_test import check_arithmetic, check_devices

        checks += [*check_devices(device), *check_arithmetic(device)]
    checks += [*_check_temporary(), *_check_bank(path)]
    checks = [dataclasses.replace(one, hint=keep_bank(one.hint, str(path))) for one in checks]
    return DoctorResult(all(one.status != "failed" for one in checks), tuple(checks))


def _check_versions() -> Iterator[Check]:
    yield Check("python", "ok", platform.python_version())
    yield Check("supsup", "ok", __version__)
    for package, module in _MODULES.items():
        try:
            with imports_without_temporary_folder():
                importlib.import_module(module)
            yield Check(package, "ok", metadata.version(package))
        except (ImportError, OSError, metadata.PackageNotFoundError) as error:
            found = f"cannot be imported ({str(error).splitlines()[0] if str(error) else error})"
            yield Check(package, "failed", found, f"pip install {package}", _UNUSABLE)


def _check_temporary() -> Iterator[Check]:
    if temporary_folder() is None:
        found = "none of TMPDIR, /tmp, /var/tmp, /usr/tmp and this folder can be written"
        hint = "set TMPDIR to a folder that can be; images of more than 1 GiB are kept there"
        yield Check("temporary folder", "warning", found, hint)


def _check_bank(path: Path) -> list[Check]:
    if not path.is_dir():
        hint = f"--bank {path} is missing; give a folder to try its file system"
        return [Check("bank", "skipped", f"{path}: no folder found", hint)]
    try:
        bank = Bank.open(path)
    except NoBankError as error:
        no_bank = Check("bank", "skipped", error.message, error.hint)
        return [no_bank, *check_file_system(path, _TASK_BYTES)]
    except BankError as error:
        failed = Check("bank", "failed", error.message, error.hint, error.exit_code)
        return [failed, *check_file_system(path, _TASK_BYTES)]
    return [*_check_base(bank), *check_file_system(path, bank.record.mask_bytes + 4096)]


def _check_base(bank: Bank) -> list[Check]:
    record = bank.record
    try:
        tasks = len(bank.tasks())
        bank.base()
    except BankError as error:
        return [Check("base", "failed", error.message, error.hint, error.exit_code)]
    drawn = f"drawn again from seed {record.seed}, equal"
    checked = drawn if record.init == "signed-constant" else "its digest is right"
    return [
        Check("bank", "ok", f"{record.arch}, {tasks} tasks; supsup verify reads all of them"),
        Check("base", "ok", f"{record.base_sha256[:16]}, {checked}"),
    ]
