import dataclasses
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import Problem, VerifyReport, verify
from bank_format.disk import files
from bank_format.encoding.canonical_json import Json, canonical
from bank_format.encoding.sealed import seal, unseal
from bank_format.encoding.strict_json import to_json
from bank_format.errors import BankError, DamagedError, NoBankError
from tests.support.banks import PROVENANCE, add, create, facts, masks, spec


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    made.add_task(facts("pets", calibration=None, parents=()), masks(made), {}, PROVENANCE)
    return made


def only(report: VerifyReport) -> Problem:
    (problem,) = report.problems
    return problem


def test_a_whole_bank_has_neither_problems_nor_hints(bank: Bank) -> None:
    assert verify(bank.path) == VerifyReport((), (), tasks=1)


def test_all_problems_are_reported_at_once_and_reading_agrees(bank: Bank) -> None:
    for name in ("a", "b", "c"):
        add(bank, name)
    for path in (bank.task_path("a"), bank.path / "base.safetensors", bank.task_path("c")):
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    report = verify(bank.path)
    assert [problem.file for problem in report.problems] == [
        "base.safetensors", "masks/a.safetensors", "masks/c.safetensors"
    ]  # fmt: skip
    for name, problem in (("a", report.problems[1]), ("c", report.problems[2])):
        with pytest.raises(BankError) as caught:
            bank.read_task(name)
        assert caught.value.message == problem.message
    assert bank.read_task("b").content.task == "b"


def resealed(path: Path, changes: dict[str, Json]) -> None:
    """Change a sealed file's content and seal it correctly, as another version of supsup would."""
    tensors, metadata = unseal(path.read_bytes(), "file")
    assert isinstance(metadata, dict)
    assert isinstance(metadata["content"], dict)
    path.write_bytes(seal(tensors, metadata | {"content": metadata["content"] | changes}))


@pytest.mark.parametrize(
    ("changes", "invariant", "message"),
    [
        ({"version": 3}, "I4", "version 3 found"),
        ({"version": 3, "novelty": {}}, "I4", "version 3 found"),
        ({"version": 2}, "I5", "content: version 2 found, expected 1"),
        ({"kind": "quilt"}, "I4", "kind 'quilt' version 1 found"),
        ({"kind": "combination"}, "I5", "content.encoding: unknown key"),
        ({"kind": None}, "I4", "kind None"),
        ({"version": 0}, "I4", "version 0 found"),
        ({"version": 1.0}, "I4", "version 1.0 found"),
        ({"base_sha256": "0" * 64}, "I8", "base 0000000000000000"),
        ({"task": "cats"}, "I7", "task 'cats' found inside"),
        ({"steps": 1001}, "I10", "content_sha256 is not that of the content"),
        ({"more": 1}, "I5", "content.more: unknown key"),
        ({"encoding": {}}, "I9", "encoding does not name exactly"),
        ({"statistics": ["m"]}, "I9", "statistics/m: none found"),
        ({"classes": [{"name": "cat", "output": 2}]}, "I9", "output 2 found, expected below 2"),
        (
            {"encoding": {"first.weight": {"coding": "packed"},
                          "last.weight": {"coding": "rice", "ones": 3, "k": 2}}},
            "I9", "mask of last.weight: coded mask of 2 bytes",
        ),
    ],
)  # fmt: skip
def test_a_right_seal_does_not_excuse_a_wrong_task(
    bank: Bank, changes: dict[str, Json], invariant: str, message: str
) -> None:
    resealed(bank.task_path("pets"), changes)
    problem = only(verify(bank.path))
    assert problem.invariant == invariant
    newer_or_other = message.startswith(("version 3", "kind 'quilt'", "base"))
    assert problem.exit_code == (12 if newer_or_other else 5)
    assert message in problem.message
    assert str(bank.task_path("pets")) in problem.message


@pytest.mark.parametrize(
    ("changes", "cited", "message"),
    [
        ({"version": 2}, ("I4", 12), "version 2 found"),
        ({"kind": "mask"}, ("I4", 12), "kind 'mask'"),
        ({"base_sha256": "0" * 64}, ("I6", 12), "base 0000000000000000 found"),
        ({"more": 1}, ("I5", 5), "unknown or missing keys"),
    ],
)
def test_a_right_seal_does_not_excuse_a_wrong_base(
    bank: Bank, changes: dict[str, Json], cited: tuple[str, int], message: str
) -> None:
    resealed(bank.path / "base.safetensors", changes)
    problem = only(verify(bank.path))
    assert problem.file == "base.safetensors"
    assert (problem.invariant, problem.exit_code) == cited
    assert message in problem.message


def test_signs_that_are_not_the_seeds_are_reported(bank: Bank) -> None:
    path = bank.path / "base.safetensors"
    tensors, metadata = unseal(path.read_bytes(), "file")
    tensors["signs/first.weight"] = tensors["signs/first.weight"].view(np.uint8) ^ 1
    path.write_bytes(seal(tensors, metadata))
    assert "is not what seed 0 gives" in only(verify(bank.path)).message


def test_what_a_right_digest_of_a_spec_that_was_changed_does_not_excuse(bank: Bank) -> None:
    value = to_json(dataclasses.replace(bank.record, real_outputs=3))
    assert isinstance(value, dict)
    digest = hashlib.sha256(canonical(value) + b"\n").hexdigest()
    path = bank.path / "bank.json"
    path.write_bytes(canonical({**value, "sha256": digest}) + b"\n")
    problem = only(verify(bank.path))
    assert (problem.file, problem.exit_code) == ("base.safetensors", 5)
    assert "base_sha256 is" in problem.message


def test_missing_files_are_problems_with_the_way_out(bank: Bank) -> None:
    (bank.path / "base.safetensors").unlink()
    problem = only(verify(bank.path))
    assert (problem.file, problem.slug) == ("base.safetensors", "damaged")
    (bank.path / "bank.json").unlink()
    report = verify(bank.path)
    assert [p.file for p in report.problems] == ["bank.json", "base.safetensors"]
    assert "supsup init-base" in report.problems[0].hint
    create(bank.path)
    assert verify(bank.path) == VerifyReport((), (), tasks=1)


def test_without_bank_json_the_seals_are_still_checked(bank: Bank) -> None:
    (bank.path / "bank.json").write_bytes(b"{}\n")
    assert only(verify(bank.path)).file == "bank.json"
    path = bank.task_path("pets")
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert [p.file for p in verify(bank.path).problems] == ["bank.json", "masks/pets.safetensors"]


def test_no_bank_is_no_report(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(NoBankError):
            verify(path)


def test_what_stands_under_a_tasks_name_must_be_a_file(bank: Bank) -> None:
    bank.task_path("folder").mkdir()
    os.mkfifo(bank.task_path("pipe"))
    bank.task_path("link").symlink_to("nowhere")
    assert [p.file for p in verify(bank.path).problems] == [
        f"masks/{name}.safetensors" for name in ("folder", "link", "pipe")
    ]


def test_a_folder_that_cannot_be_listed_is_a_problem(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir

    def fail_in_masks(folder: Path) -> list[str]:
        if folder.name == "masks":
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", fail_in_masks)
    problem = only(verify(bank.path))
    assert (problem.file, problem.slug, problem.exit_code) == ("masks", "storage", 13)


def test_a_task_of_another_bank_is_reported_as_such(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    add(other, "cats")
    files.write_new(bank.task_path("cats"), other.task_path("cats").read_bytes())
    problem = only(verify(bank.path))
    assert (problem.file, problem.slug) == ("masks/cats.safetensors", "other-base")


def test_a_file_in_the_place_of_a_folder_is_a_problem(bank: Bank) -> None:
    shutil.rmtree(bank.path / "masks")
    (bank.path / "masks").touch()
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.slug) == ("masks", "damaged")


def test_a_link_to_nothing_is_damage_for_every_reader(bank: Bank) -> None:
    path = bank.path / "masks" / "lost.safetensors"
    path.symlink_to(bank.path / "nowhere")
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.slug) == ("masks/lost.safetensors", "damaged")
    with pytest.raises(DamagedError, match="link to nothing"):
        bank.read_task("lost")
