"""Places that `predict --sort` and `--sheet` refuse: among the images, around them, in a bank."""

from pathlib import Path
from typing import Any

import pytest

from supsup_cli.workflows.inference.photos import predict_photos
from tests.support.commands import answer, make_class_folder, run
from tests.support.trees import tree


def refused(bank: Path, *words: object) -> dict[str, Any]:
    """A refusal before anything is computed or written."""
    ran = run("predict", "--bank", bank, *words, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage"), ran
    return ran.error


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few images, inside the working folder."""
    monkeypatch.chdir(tmp_path)
    make_class_folder(tmp_path / "in", {"low": 2, "high": 16}, each=2)
    monkeypatch.setattr(predict_photos, "sort_images", None)  # no test may write here
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "folder"),
    [
        ("in", "in"),
        ("in", "in/sorted"),
        ("in/", "./in/low/sorted"),
        ("in/*", "in/low/sorted"),
        ("in", "alias/sorted"),  # a link to the input
        ("alias", "in/sorted"),
        ("linked", "in/low/sorted"),  # a folder that holds a link to the input
        ("-", "in/sorted"),
    ],
)
def test_a_folder_that_lies_in_an_input_is_refused(
    inputs: str, folder: str, bank: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (few / "alias").symlink_to("in")
    (few / "linked").mkdir()
    (few / "linked" / "there").symlink_to("../in/low")
    monkeypatch.setattr("sys.stdin", (few / "list").open("w+"))
    (few / "list").write_text("in\n")
    before = tree(few)
    assert "lies in an input" in refused(bank, inputs, "--sort", folder)["message"]
    assert tree(few) == before


@pytest.mark.parametrize("folder", [".", "in", "alias", "in/low/.."])
@pytest.mark.parametrize("inputs", ["in/low", "in/low/000.png", "in/*/000.png", "link.png"])
def test_a_folder_that_contains_an_input_is_refused(
    inputs: str, folder: str, bank: Path, few: Path
) -> None:
    (few / "alias").symlink_to("in")
    (few / "link.png").symlink_to("in/low/000.png")
    before = tree(few)
    assert "contains an input" in refused(bank, inputs, "--sort", folder)["message"]
    assert tree(few) == before


def test_the_bank_and_what_is_sorted_stay_apart(own_bank: Path, few: Path) -> None:
    for folder in (own_bank, own_bank / "masks" / "x"):
        assert "lies in the bank" in refused(own_bank, "in", "--sort", folder)["message"]
    images = make_class_folder(few / "far" / "in", {"low": 2, "high": 16}, each=1)
    around = refused(own_bank, images, "--sort", own_bank.parent)
    assert "contains the bank" in around["message"]


def test_a_folder_beside_single_images_is_fine(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_class_folder(tmp_path, {"low": 2, "high": 16}, each=1)
    (tmp_path / "low" / "000.png").rename(tmp_path / "a.png")
    placed = answer("predict", "--bank", bank, "a.png", "high", "--sort", "sorted")
    assert [one["status"] for one in placed["sorted_images"]] == ["copied", "copied"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("in", "--link"), "--link: expected together with --sort FOLDER"),
        (("--data", "mnist-perm-0", "--sort", "x"), "--sort with --data mnist-perm-0: expected"),
        (("--data", "in", "--sheet", "x.png"), "--sheet with --data in: expected image files"),
        (("in", "--sheet", "x.jpg"), "--sheet x.jpg: expected a name that ends in .png"),
    ],
)
def test_options_that_do_not_go_together(
    words: tuple[str, ...], message: str, bank: Path, few: Path
) -> None:
    assert message in refused(bank, *words)["message"]
    assert not (few / "x").exists()


@pytest.mark.parametrize("words", [("--sort", "x"), ("--sheet", "x.png"), ("--link",)])
def test_answers_that_are_streamed_are_not_sorted(
    words: tuple[str, ...], bank: Path, few: Path
) -> None:
    ran = run("predict", "--bank", bank, "in", "--json-lines", *words)
    assert (ran.code, ran.json["error"]["code"]) == (2, "usage")
    assert "with --json-lines: expected none of them" in ran.json["error"]["message"]
    assert sorted(path.name for path in few.iterdir()) == ["in"]


def test_an_empty_list_of_inputs_is_refused_as_without_sorting(bank: Path, few: Path) -> None:
    assert "neither given" in refused(bank, "--sort", few / "sorted")["message"]


def test_a_loop_of_links_is_no_folder(bank: Path, tmp_path: Path) -> None:
    images = make_class_folder(tmp_path / "in", {"low": 2}, each=1)
    (tmp_path / "loop").symlink_to("loop")
    ran = run("predict", "--bank", bank, images, "--sort", tmp_path / "loop", "--json")
    assert (ran.code, ran.error["code"]) == (13, "storage")
    assert len(tree(tmp_path)) == 1
