"""`compare`: what is asked for, inputs that fail, and results that were kept and then lost."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from supsup_cli.workflows.compare.request import chosen_methods
from tests.support.commands import answer, make_class_folder, run

TASKS = ("--data", "mnist-split-0..1")
SMALL = ("--arch", "mlp-8", "--outputs", 50, "--steps", 5)
FAST = (*SMALL, "--limit", 50, "--rates", "fixed")


def _without_seconds(document: dict[str, Any]) -> dict[str, Any]:
    for one in document["methods"]:
        del one["seconds"]
        for seed in one["seeds"]:
            del seed["seconds"]
    return {key: value for key, value in document.items() if key != "seconds"}


def test_images_that_cannot_be_read_are_failed_inputs(tmp_path: Path) -> None:
    folders = [make_class_folder(tmp_path / name, {"low": 2, "high": 16}) for name in "ab"]
    (folders[0] / "low" / "000.png").write_bytes(b"this is no image")
    asked = ("--data", folders[0], "--data", folders[1], *FAST, "--methods", "psp")
    ran = run("compare", *asked, "--json")
    assert ran.code == 3
    (failed,) = ran.json["failed"]
    assert failed["source"].endswith("a/low/000.png")
    assert "000.png" in run("compare", *asked).out


def test_fewer_test_images_choose_the_same_rates() -> None:
    asked = ("compare", *TASKS, *SMALL, "--methods", "psp", "--limit")
    few, many = (answer(*asked, limit)["methods"][0]["rates"] for limit in (1, 50))
    assert few == many
    assert len({accuracy for *_, accuracy in few["trials"]}) > 1


def test_names_of_methods_may_have_spaces_around_and_none_is_not_all() -> None:
    known = {"supsup": "", "psp": "", "ewc": "pip install it"}
    assert chosen_methods(("psp, supsup",), known) == ["psp", "supsup"]
    assert chosen_methods((), known) == ["supsup", "psp"]
    for empty in ("", ",", " "):
        ran = run("compare", *TASKS, *FAST, "--methods", empty, "--json")
        assert (ran.code, "no name found" in ran.error["message"]) == (2, True)


def test_too_few_outputs_are_named_by_the_option_that_sets_them() -> None:
    ran = run("compare", *TASKS, *FAST, "--outputs", 3, "--json")
    assert ran.code == 2
    assert ran.error["message"].startswith("--outputs 3: expected at least 4")


@pytest.mark.parametrize("command", ["compare", "evaluate"])
def test_a_table_and_a_picture_need_two_files(command: str, bank: Path, tmp_path: Path) -> None:
    asked = ("--bank", bank) if command == "evaluate" else (*TASKS, *FAST)
    file = tmp_path / "seen.png"
    ran = run(command, *asked, "--csv", file, "--plot", file, "--json")
    assert (ran.code, "one file" in ran.error["message"]) == (2, True)
    assert not file.exists()


def test_a_finished_comparison_answers_the_same_again(tmp_path: Path) -> None:
    asked = ("compare", *TASKS, *FAST, "--methods", "supsup,psp", "--keep", tmp_path / "kept")
    first, again = (_without_seconds(answer(*asked)) for _ in range(2))
    assert first == again
    assert first["images"] == [50, 50]


@pytest.mark.parametrize("lost", ["task", "bank"])
def test_a_task_that_was_removed_from_the_kept_bank_is_learned_again(
    tmp_path: Path, lost: str
) -> None:
    kept = tmp_path / "kept"
    asked = ("compare", *TASKS, *FAST, "--methods", "supsup", "--keep", kept)
    first = _without_seconds(answer(*asked))
    bank = kept / "seed-0" / "supsup" / "bank"
    if lost == "bank":
        shutil.rmtree(bank)
    else:
        (bank / "masks" / "mnist-split-0.safetensors").unlink()
    again = _without_seconds(answer(*asked))
    assert again == first
    assert len(answer("tasks", "--bank", bank)["tasks"]) == 2
