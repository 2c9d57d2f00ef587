from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.encoding import bits
from bank_format.errors import (
    DamagedError,
    NameTakenError,
    NoBankError,
)
from bank_format.kinds.bank_json import ParameterRecord
from bank_format.kinds.seeded import seeded_signs, signed_constant_scale, signed_constant_tensors
from tests.support.banks import add, create, flips, spec


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return create(tmp_path / "bank")


def names_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_new_bank_holds_these_files_and_opens_again(bank: Bank) -> None:
    assert names_in(bank.path) == ["bank.json", "base.safetensors", "masks", "work"]
    assert Bank.open(bank.path) == bank
    assert bank.tasks() == []


def test_create_is_idempotent_and_refuses_another_spec(bank: Bank) -> None:
    before = {p: p.read_bytes() for p in bank.path.rglob("*") if p.is_file()}
    again, created = Bank.create(bank.path, spec(), signed_constant_tensors(0, spec().parameters))
    assert again == bank
    assert not created
    with pytest.raises(NameTakenError, match="seed 0 found, asked for 1"):
        create(bank.path, spec(seed=1))
    assert before == {p: p.read_bytes() for p in bank.path.rglob("*") if p.is_file()}


def test_equal_specs_have_equal_bases_wherever_they_are(bank: Bank, tmp_path: Path) -> None:
    assert create(tmp_path / "other").record == bank.record
    others = [create(tmp_path / "a", spec(seed=1)), create(tmp_path / "b", spec(real_outputs=1))]
    assert len({b.record.base_sha256 for b in (bank, *others)}) == 3


def test_digests_are_these_for_ever(bank: Bank) -> None:
    base = "34294bfe1020f3e1df87c510a75773058d878a8362078870c1eddf740f68fb03"
    content = "23ab3c29ceb296258fc5f893f1a60a147892d19e27ecc201546dd66d3c2d28a5"
    assert bank.record.base_sha256 == base
    assert add(bank, "pets").content_sha256 == content


@pytest.mark.parametrize("left", [["bank.json"], ["bank.json", "base.safetensors"], ["work"]])
def test_a_create_that_was_stopped_is_completed(bank: Bank, left: list[str]) -> None:
    whole = {p.name: p.read_bytes() for p in bank.path.iterdir() if p.is_file()}
    for name in left:
        path = bank.path / name
        path.rmdir() if path.is_dir() else path.unlink()
    (bank.path / ".bank.json.1.ab.tmp").touch()
    assert create(bank.path) == bank
    assert all((bank.path / name).read_bytes() == data for name, data in whole.items())
    assert verify(bank.path).problems == ()


def test_a_stopped_create_of_another_spec_is_not_overwritten(bank: Bank) -> None:
    (bank.path / "bank.json").unlink()
    before = (bank.path / "base.safetensors").read_bytes()
    with pytest.raises(NameTakenError, match="unchanged"):
        create(bank.path, spec(seed=1))
    assert (bank.path / "base.safetensors").read_bytes() == before
    assert not (bank.path / "bank.json").exists()


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(NameTakenError, match=r"'thesis\.tex' found"):
        create(tmp_path)
    with pytest.raises(NameTakenError, match="a file found"):
        create(tmp_path / "thesis.tex")
    assert names_in(tmp_path) == ["thesis.tex"]


def test_a_missing_bank_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path, tmp_path / "file"):
        with pytest.raises(NoBankError, match=r"no bank\.json found") as caught:
            Bank.open(path)
        assert caught.value.hint == f"supsup init-base --bank {path}"


def test_the_base_is_signs_times_scale(bank: Bank) -> None:
    weights = bank.base()
    assert list(weights) == ["first.weight", "last.weight"]
    for index, (name, array) in enumerate(weights.items()):
        assert array.dtype == np.float32
        assert array.shape == bank.record.parameters[index].shape
        scale = signed_constant_scale(array.shape[1])
        signs = bits.unpack(seeded_signs(0, index, array.size), array.size).reshape(array.shape)
        assert np.array_equal(array, np.where(signs, scale, -scale)), name


def test_other_inits_keep_float32_weights_as_they_are(tmp_path: Path) -> None:
    of = spec(
        init="kaiming-normal",
        parameters=(ParameterRecord("w", (3, 2), True), ParameterRecord("b", (3,), False)),
    )
    stored = {f"weights/{p.name}": np.ones(p.shape, np.float32) for p in of.parameters}
    stored["weights/w"][1, 1] = -7
    bank, created = Bank.create(tmp_path / "bank", of, stored)
    assert created
    assert {f"weights/{name}": a.tolist() for name, a in bank.base().items()} == {
        name: array.tolist() for name, array in stored.items()
    }
    stored["weights/w"][1, 1] = 7
    with pytest.raises(NameTakenError, match="base_sha256"):
        Bank.create(tmp_path / "bank", of, stored)


def test_tensors_that_the_spec_does_not_demand_are_refused(tmp_path: Path) -> None:
    good = signed_constant_tensors(0, spec().parameters)
    for change in (
        {"signs/first.weight": good["signs/first.weight"].view(np.uint8) ^ 1},
        {"scale/first.weight": np.array([1.0], np.float32)},
        {"scale/first.weight": np.array([1.0], np.float64)},
        {"signs/other": good["signs/first.weight"]},
    ):
        with pytest.raises(ValueError, match="tensor"):
            Bank.create(tmp_path / "bank", spec(), {**good, **change})
    assert not (tmp_path / "bank").exists()


def test_every_flipped_bit_of_the_base_is_refused(bank: Bank) -> None:
    path = bank.path / "base.safetensors"
    for _, changed in flips(path.read_bytes()):
        path.write_bytes(changed)
        with pytest.raises(DamagedError, match=r"base\.safetensors"):
            bank.base()
    path.unlink()
    with pytest.raises(DamagedError, match="no such file") as caught:
        bank.base()
    assert "init-base" in caught.value.hint
    create(bank.path)
    assert bank.base()
