"""Images by name, listed or typed: a failed one keeps its place, the others are answered."""

import io
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.commands import Ran, answer, make_class_folder, run


@pytest.fixture
def one(images: Path) -> Path:
    return next((images / "split-3").rglob("*.png"))


def _listed(monkeypatch: pytest.MonkeyPatch, text: str, *words: object) -> Ran:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    return run(*words, "-", "--json")


@pytest.mark.parametrize("command", ["predict", "infer-task"])
@pytest.mark.parametrize("gone", ["gone.png", "gone*.png", "gone", "x" * 300])
def test_a_missing_file_beside_another_exits_3_in_both_forms(
    command: str, gone: str, bank: Path, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = run(command, "--bank", bank, one, gone, one, "--json")
    listed = _listed(monkeypatch, f"{one}\n{gone}\n{one}\n", command, "--bank", bank)
    for ran in (typed, listed):
        assert (ran.code, ran.err) == (3, "")
        first, missing, again = ran.json["results"]
        assert (first["source"], missing["source"]) == (str(one), gone)
        assert missing["error"].startswith(f"{gone}: ")
        assert (first["error"], missing["task"]) == (None, None)
        assert again == first
    shown = run(command, "--bank", bank, one, gone)
    assert shown.code == 3
    assert shown.out.splitlines()[1].startswith(f"{gone}  error: ")


def test_missing_files_alone_exit_2(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = run("predict", "--bank", bank, "gone.png", "--json")
    listed = _listed(monkeypatch, "gone.png\n", "predict", "--bank", bank)
    assert (typed.code, listed.code) == (2, 2)
    assert typed.error["message"] == "gone.png: no such file or folder"
    assert "gone.png" in listed.error["message"]


def test_a_folder_without_images_beside_a_file_exits_3(
    bank: Path, one: Path, tmp_path: Path
) -> None:
    ran = run("predict", "--bank", bank, tmp_path, one, "--json")
    assert ran.code == 3
    assert [bool(answer["error"]) for answer in ran.json["results"]] == [True, False]


def test_a_list_may_begin_with_a_byte_order_mark(
    bank: Path, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = _listed(monkeypatch, f"\ufeff{one}\n", "predict", "--bank", bank)
    assert ran.code == 0
    assert [answer["source"] for answer in ran.json["results"]] == [str(one)]


@pytest.mark.parametrize("command", ["predict", "infer-task"])
def test_data_in_a_folder_is_named_by_its_files(command: str, bank: Path, tmp_path: Path) -> None:
    pets = make_class_folder(tmp_path / "pets", {"cat": 0, "dog": 15}, each=10)
    results = answer(command, "--bank", bank, "--data", pets)["results"]
    assert len(results) == 4
    assert all(Path(told["source"]).is_file() for told in results)
    assert {Path(told["source"]).parent.name for told in results} == {"cat", "dog"}


def test_a_broken_file_of_a_folder_shifts_no_name(bank: Path, tmp_path: Path) -> None:
    pets = make_class_folder(tmp_path / "pets" / "test", {"cat": 0, "dog": 15}, each=5)
    shutil.copytree(pets, pets.with_name("train"))
    (pets / "cat" / "002.png").write_bytes(b"no image")
    ran = run("predict", "--bank", bank, "--data", pets.parent, "--json")
    assert ran.code == 3
    told = {one["source"]: one["error"] for one in ran.json["results"]}
    assert sorted(map(Path, told)) == sorted(pets.rglob("*.png"))
    assert [Path(name).name for name, error in told.items() if error] == ["002.png"]
    alone = answer("predict", "--bank", bank, pets / "cat" / "003.png")["results"][0]
    (among,) = [one for one in ran.json["results"] if one["source"] == alone["source"]]
    assert among["label"] == alone["label"]
