"""Signatures made later: one file for each, immutable, for one task and no other."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import verify
from bank_format.errors import DamagedError, NameTakenError, OtherBaseError
from bank_format.kinds.task_records import SignatureRecord
from bank_format.store.signatures import (
    add_signature,
    list_signatures,
    read_signature,
    signature_path,
)
from supsup_cli.workflows.tasks.clean import clean
from tests.support.banks import add, create, flips, spec

SIGNATURE = SignatureRecord("means-1", 40)
ARRAYS = {"signature/means": np.arange(-6, 6, dtype=np.int8).reshape(3, 4)}


def signed(path: Path, *names: str) -> Bank:
    bank = create(path)
    for seed, name in enumerate(names):
        add_signature(path, bank.record, add(bank, name, seed), SIGNATURE, ARRAYS)
    return bank


def test_it_comes_back_and_names_its_task(tmp_path: Path) -> None:
    bank = signed(tmp_path / "bank", "pets")
    read = read_signature(bank.path, bank.record, "pets")
    assert read is not None
    assert read.content.task_sha256 == bank.read_task("pets").content_sha256
    assert read.content.signature == SIGNATURE
    np.testing.assert_array_equal(read.arrays["signature/means"], ARRAYS["signature/means"])
    assert list_signatures(bank.path) == ["pets"]
    assert verify(bank.path).problems == ()


def test_it_is_never_overwritten(tmp_path: Path) -> None:
    bank = signed(tmp_path / "bank", "pets")
    before = signature_path(bank.path, "pets").read_bytes()
    with pytest.raises(NameTakenError):
        add_signature(bank.path, bank.record, bank.read_task("pets"), SIGNATURE, ARRAYS)
    assert signature_path(bank.path, "pets").read_bytes() == before


def test_it_goes_with_its_task(tmp_path: Path) -> None:
    bank = signed(tmp_path / "bank", "pets", "cars")
    bank.remove_task("pets")
    assert list_signatures(bank.path) == ["cars"]


def test_one_of_a_task_that_is_gone_is_told_cleaned_and_makes_room(tmp_path: Path) -> None:
    bank = signed(tmp_path / "bank", "pets")
    bank.task_path("pets").unlink()
    report = verify(bank.path)
    assert report.problems == ()
    assert any(
        "belongs to a task that is gone: supsup tasks clean" in hint for hint in report.hints
    )
    other = add(bank, "pets", seed=9)
    assert any("belongs to a task that is gone" in hint for hint in verify(bank.path).hints)
    add_signature(bank.path, bank.record, other, SIGNATURE, ARRAYS)
    assert verify(bank.path).hints == ()
    bank.task_path("pets").unlink()
    cleaned = clean(bank.path, [], dry_run=False, confirm=lambda _: None)
    assert [one.file for one in cleaned.files] == ["signatures/pets.safetensors"]
    assert list_signatures(bank.path) == []


def test_a_copy_takes_it_along_under_its_own_name(tmp_path: Path) -> None:
    source, target = signed(tmp_path / "one", "pets"), create(tmp_path / "two")
    copy = target.copy_task("pets", source, "dogs")
    read = read_signature(target.path, target.record, "dogs")
    assert read is not None
    assert read.content.task_sha256 == copy.content_sha256


def test_every_flipped_bit_is_found_and_a_repair_sets_it_aside(tmp_path: Path) -> None:
    bank = signed(tmp_path / "bank", "pets")
    path = signature_path(bank.path, "pets")
    whole = path.read_bytes()
    for place, data in flips(whole, every=97):
        path.write_bytes(data)
        with pytest.raises(DamagedError):
            read_signature(bank.path, bank.record, "pets")
        assert [one.file for one in verify(bank.path).problems] == [
            "signatures/pets.safetensors"
        ], place
    report = repair(bank.path)
    assert report.problems == ()
    assert any("supsup tasks sign" in hint for hint in report.hints)
    assert list_signatures(bank.path) == []
    assert bank.tasks() == ["pets"]


def test_under_another_name_and_in_another_bank_it_is_refused(tmp_path: Path) -> None:
    bank = signed(tmp_path / "one", "pets")
    data = signature_path(bank.path, "pets").read_bytes()
    signature_path(bank.path, "cars").write_bytes(data)
    with pytest.raises(DamagedError, match="found inside"):
        read_signature(bank.path, bank.record, "cars")
    other = create(tmp_path / "two", spec(seed=5))
    path = signature_path(other.path, "pets")
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(OtherBaseError):
        read_signature(other.path, other.record, "pets")
