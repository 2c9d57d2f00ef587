"""`verify --repair`: nothing learned is deleted, and derived files are made again."""

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.repair import RepairReport, repair
from bank_format.check.verify import verify
from bank_format.encoding.sealed import seal, unseal
from tests.support.banks import spec
from tests.support.repairing import TASKS, contents, digests, make, only_aside, spoil, steps


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make(tmp_path / "bank")


def test_a_whole_bank_is_left_as_it_is(bank: Bank) -> None:
    before = {path: path.stat().st_mtime_ns for path in bank.path.rglob("*")}
    assert repair(bank.path) == RepairReport((), (), 3, ())
    assert {path: path.stat().st_mtime_ns for path in bank.path.rglob("*")} == before


def test_a_damaged_task_is_set_aside_whole_and_reported_once(bank: Bank) -> None:
    known = digests(bank)
    path = bank.task_path("dogs")
    changed = spoil(path)
    planned = repair(bank.path, dry_run=True)
    assert path.read_bytes() == changed
    assert planned.problems == verify(bank.path).problems
    report = repair(bank.path)
    assert report.repairs == planned.repairs
    (done,) = report.repairs
    tag = sha256(changed).hexdigest()[:16]
    assert (done.file, done.action, done.to, done.lossless) == (
        "masks/dogs.safetensors", "quarantined", f"quarantine/masks-dogs-{tag}.safetensors", False
    )  # fmt: skip
    assert (bank.path / done.to).read_bytes() == changed
    (problem,) = report.problems
    assert (problem.file, problem.exit_code, problem.invariant) == (done.file, 5, "I2")
    assert done.to in problem.hint
    assert only_aside(bank, 1).tasks == 2
    assert repair(bank.path).repairs == ()
    del known["dogs"]
    assert digests(bank) == known


def test_equal_damage_twice_overwrites_nothing(bank: Bank) -> None:
    path = bank.task_path("dogs")
    whole = path.read_bytes()
    spoil(path)
    repair(bank.path)
    path.write_bytes(whole)
    spoil(path)
    repair(bank.path)
    assert len(list((bank.path / "quarantine").iterdir())) == 2


@pytest.mark.parametrize("missing", [True, False])
def test_a_seeded_base_is_written_again_to_the_same_bytes(bank: Bank, missing: bool) -> None:
    path = bank.path / "base.safetensors"
    whole = path.read_bytes()
    changed = b"" if missing else spoil(path)
    if missing:
        path.unlink()
    report = repair(bank.path)
    assert report.problems == ()
    assert steps(report)[-1] == ("base.safetensors", "regenerated")
    assert path.read_bytes() == whole
    assert missing or contents(bank.path / "quarantine") == {changed}


def test_a_base_that_no_seed_decides_stays_with_the_command_that_makes_it(tmp_path: Path) -> None:
    of = spec(init="kaiming-normal", seed=7)
    weights = {f"weights/{p.name}": np.ones(p.shape, np.float32) for p in of.parameters}
    bank, _ = Bank.create(tmp_path / "bank", of, weights)
    path = bank.path / "base.safetensors"
    changed = spoil(path)
    report = repair(bank.path)
    assert report.repairs == ()
    assert path.read_bytes() == changed
    (problem,) = report.problems
    assert "supsup init-base --arch mlp-5 --input 1x2x3 --outputs 3" in problem.hint
    assert "--init kaiming-normal --seed 7 --bank" in problem.hint


def test_a_newer_task_is_left_alone(bank: Bank) -> None:
    path = bank.task_path("dogs")
    tensors, metadata = unseal(path.read_bytes(), "file")
    assert isinstance(metadata, dict)
    assert isinstance(metadata["content"], dict)
    newer = seal(tensors, metadata | {"content": metadata["content"] | {"version": 3}})
    path.write_bytes(newer)
    report = repair(bank.path)
    assert (report.repairs, [one.exit_code for one in report.problems]) == ((), [12])
    assert path.read_bytes() == newer


def test_derived_files_are_set_aside_without_loss(bank: Bank) -> None:
    (bank.path / "hopfield.safetensors").write_bytes(b"spoilt")
    assert repair(bank.path).problems == ()
    only_aside(bank, 1)


def test_folders_are_made_again(bank: Bank) -> None:
    (bank.path / "work").rmdir()
    for name in TASKS:
        bank.remove_task(name)
    (bank.path / "masks").rmdir()
    (bank.path / "masks").write_bytes(b"no folder")
    report = repair(bank.path)
    assert [one.file for one in report.problems] == ["masks"]
    assert steps(report) == [("masks", "quarantined"), ("masks", "made"), ("work", "made")]
    only_aside(bank, 1)
    assert Bank.open(bank.path).tasks() == []


def test_what_is_no_file_is_set_aside_as_it_is(bank: Bank) -> None:
    bank.task_path("folder").mkdir()
    os.mkfifo(bank.task_path("pipe"))
    bank.task_path("link").symlink_to("nowhere")
    assert len(repair(bank.path).problems) == 3
    kept = {path.name.split("-")[1]: path for path in (bank.path / "quarantine").iterdir()}
    assert kept["folder"].is_dir()
    assert kept["pipe"].is_fifo()
    assert str(kept["link"].readlink()) == "nowhere"
    only_aside(bank, 3)


def test_without_bank_json_nothing_is_touched(bank: Bank) -> None:
    spoil(bank.task_path("dogs"))
    (bank.path / "bank.json").write_bytes(b"{}\n")
    before = contents(bank.path)
    report = repair(bank.path)
    assert (report.repairs, len(report.problems)) == ((), 2)
    assert contents(bank.path) == before
