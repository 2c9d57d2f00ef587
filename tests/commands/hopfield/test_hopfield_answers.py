"""`--method hopfield`: masks recovered from images by the attractors, and their answers."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from supsup_cli.errors import DeviceError
from supsup_cli.workflows.hopfield.attractors import open_attractors
from supsup_cli.workflows.opening import open_network
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import answer, flip_bit, learn, run
from tests.support.unit_banks import TASKS, make_unit_bank

HOPFIELD = ("--method", "hopfield")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with encoded attractors that no test may change."""
    path = tmp_path_factory.mktemp("units") / "bank"
    make_unit_bank(path, *TASKS, arch="units-512-512", steps=60)
    answer("encode-hopfield", "--bank", path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test images of two tasks: zero-one/CLASS/NNNNN.png and four-five/CLASS/NNNNN.png."""
    folder = tmp_path_factory.mktemp("images")
    for name, data in (("zero-one", TASKS[0]), ("four-five", TASKS[1])):
        answer("data", "export", data, folder / name, "--limit", 64)
        for image in (folder / name).rglob("*.png"):
            image.rename(folder / name / f"{image.parent.name}-{image.name}")
    return folder


def infer(bank: Path, *words: object) -> Any:
    return answer("infer-task", "--bank", bank, *HOPFIELD, *words)


def data(*names: str) -> list[str]:
    return [word for name in names for word in ("--data", name)]


def test_the_task_of_each_group_is_named_by_its_recovered_mask(bank: Path) -> None:
    document = infer(bank, *data(*TASKS), "--group", "folder", "--limit", 128)
    assert (document["method"], document["objective"]) == ("hopfield", "H")
    results = sorted(document["results"], key=lambda one: str(one["source"]))
    assert [one["task"] for one in results] == list(TASKS)
    for one in results:
        recovery = one["recovery"]
        assert (recovery["task"], recovery["images"]) == (one["task"], 128)
        assert recovery["distance"] == -one["scores"][0][1]
        assert recovery["exact"] == (recovery["distance"] == 0)
        assert recovery["recovered"]
        assert recovery["converged"]
        assert 1 <= recovery["steps"] <= 60


def test_groups_of_image_files_are_recovered_too(bank: Path, folders: Path) -> None:
    document = infer(bank, folders / "zero-one", folders / "four-five", "--group", "folder")
    named = {Path(one["source"]).name: one["task"] for one in document["results"]}
    assert named == {"zero-one": TASKS[0], "four-five": TASKS[1]}


def test_the_answer_is_said_in_words(bank: Path) -> None:
    told = run(
        "infer-task", "--bank", bank, *HOPFIELD, *data(TASKS[0]), "--group", "all", "--limit", 64
    )
    assert told.code == 0
    assert "recovered from 64 images in" in told.out
    assert "0 bits off" in told.out
    assert "bits between the recovered mask and each task's" in told.out


def test_the_recovered_mask_predicts(bank: Path) -> None:
    words = (*data(TASKS[0]), "--limit", 64)
    document = answer("predict", "--bank", bank, *HOPFIELD, *words, "--group", "all")
    given = answer("predict", "--bank", bank, "--task", TASKS[0], *words)
    (recovery,) = document["recoveries"]
    assert (recovery["task"], recovery["images"]) == (TASKS[0], 64)
    assert {one["task"] for one in document["results"]} == {TASKS[0]}
    same = [
        one["label"] == other["label"]
        for one, other in zip(document["results"], given["results"], strict=True)
    ]
    assert sum(same) >= 60
    assert given["recoveries"] == []
    told = run("predict", "--bank", bank, *HOPFIELD, *words, "--group", "all")
    assert told.out.splitlines()[-1].startswith(f"{TASKS[0]}: recovered from 64 images")


def test_the_recovered_mask_and_not_the_stored_one_answers(bank: Path, tmp_path: Path) -> None:
    """If a task was removed after encoding, its mask comes from the matrices alone."""
    own = Path(shutil.copytree(bank, tmp_path / "own"))
    assert run("tasks", "remove", TASKS[0], "--bank", own, "--yes").code == 0
    words = (*HOPFIELD, *data(TASKS[0]), "--limit", 64, "--group", "all")
    ran = run("infer-task", "--bank", own, *words, "--json")
    assert ran.code == 0
    assert f"still holds 1 task ('{TASKS[0]}'), gone or changed since" in ran.err
    assert "reached no stored mask" in ran.err
    (one,) = ran.json["results"]
    assert one["recovery"]["converged"]
    assert one["recovery"]["distance"] > 50
    assert (one["known"], one["recovery"]["recovered"]) == (False, False)
    assert run("infer-task", "--bank", own, *words, "--fail-on-new", "--quiet").code == 4


def test_recovery_reads_no_stored_mask(bank: Path, tmp_path: Path) -> None:
    """Other masks under the same names change the comparison, but nothing that is recovered."""
    words = (*data(TASKS[1]), "--limit", 64, "--group", "all")
    before = infer(bank, *words)["results"][0]["recovery"]
    own = Path(shutil.copytree(bank, tmp_path / "own"))
    attractors = (own / "hopfield.safetensors").read_bytes()
    assert run("tasks", "remove", *TASKS, "--bank", own, "--yes").code == 0
    learn(own, *TASKS, steps=2)
    assert (own / "hopfield.safetensors").read_bytes() == attractors
    ran = run("infer-task", "--bank", own, *HOPFIELD, *words, "--json")
    after = ran.json["results"][0]["recovery"]
    assert (after["steps"], after["converged"]) == (before["steps"], before["converged"])
    assert after["distance"] > 50


def test_evaluate_measures_recovery(bank: Path) -> None:
    words = (*HOPFIELD, "--group", "64", "--limit", 128)
    document = answer("evaluate", "--bank", bank, *words)
    assert document["method"] == "hopfield"
    assert len(document["recoveries"]) == 6
    assert {one["of"] for one in document["recoveries"]} == set(TASKS)
    for one in document["recoveries"]:
        assert one["right"] == (one["of"] == one["task"])
        assert one["images"] == 64
    for one in document["tasks"]:
        mine = [each for each in document["recoveries"] if each["of"] == one["task"]]
        assert one["task_accuracy"] == sum(each["right"] for each in mine) / 2
    told = run("evaluate", "--bank", bank, *words).out
    assert "masks recovered: " in told
    assert "of 6 are the right one" in told


def test_evaluate_without_the_method_recovers_nothing(bank: Path) -> None:
    assert answer("evaluate", "--bank", bank, "--limit", 8)["recoveries"] == []


def test_the_picture_shows_a_panel_for_each_group(bank: Path, tmp_path: Path) -> None:
    picture = tmp_path / "recovery.png"
    words = (*data(*TASKS), "--group", "folder", "--limit", 64, "--plot", picture)
    assert infer(bank, *words)["plot"] == str(picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    told = run("infer-task", "--bank", bank, *HOPFIELD, *words).out
    assert f"picture: {picture}" in told


def test_a_picture_of_other_methods_is_refused(bank: Path, tmp_path: Path) -> None:
    ran = run("infer-task", "--bank", bank, *data(TASKS[0]), "--plot", tmp_path / "x.png", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "expected hopfield" in ran.error["message"]


def test_each_image_by_itself_is_answered_and_says_what_it_used(bank: Path) -> None:
    document = infer(bank, *data(TASKS[0]), "--limit", 3)
    assert [one["recovery"]["images"] for one in document["results"]] == [1, 1, 1]
    for one in document["results"]:
        assert one["known"] <= one["recovery"]["recovered"]
    told = run("predict", "--bank", bank, *HOPFIELD, *data(TASKS[0]), "--limit", 1)
    assert "each mask is recovered from one image alone" in told.err


def test_without_attractors_the_command_that_makes_them_is_told(bank: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(bank, tmp_path / "own"))
    (own / "hopfield.safetensors").unlink()
    for command in (("infer-task", *data(TASKS[0])), ("predict", *data(TASKS[0])), ("evaluate",)):
        ran = run(*command, *HOPFIELD, "--bank", own, "--json")
        assert (ran.code, ran.error["code"]) == (2, "no-input")
        assert ran.error["hint"] == f"supsup encode-hopfield --bank {own}"
    given = run(
        "predict", "--task", TASKS[0], *data(TASKS[0]), *HOPFIELD, "--limit", 2, "--bank", own
    )
    assert given.code == 0


def test_a_device_without_float64_is_refused(bank: Path) -> None:
    net = dataclasses.replace(open_network(bank, "cpu"), device=torch.device("mps"))
    with pytest.raises(DeviceError, match="expected float64"):
        open_attractors(net, (), Silent())


@pytest.mark.parametrize("objective", ["G", "R"])
def test_recovery_goes_by_entropy_alone(bank: Path, objective: str) -> None:
    ran = run(
        *("infer-task", "--bank", bank, *HOPFIELD, *data(TASKS[0])),
        *("--objective", objective, "--json"),
    )
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "expected H" in ran.error["message"]


def test_the_same_command_gives_the_same_answer(bank: Path) -> None:
    words = (*data(TASKS[2]), "--limit", 64, "--group", "all")
    first, second = infer(bank, *words), infer(bank, *words)
    assert first["results"] == second["results"]


@pytest.mark.slow
def test_split_mnist_by_attractors_alone(tmp_path: Path) -> None:
    bank = make_unit_bank(tmp_path / "bank", arch="units-2048-2048")
    answer("learn-task", "--bank", bank, "--data", "mnist-split-0..4")
    answer("encode-hopfield", "--bank", bank)
    document = answer("evaluate", "--bank", bank, *HOPFIELD, "--group", "all")
    assert document["mean"]["accuracy_inferred"] >= 0.988
    for one in document["recoveries"]:
        assert one["right"]
        assert one["recovered"]
        assert one["steps"] <= 35


def test_a_damaged_task_is_left_out_and_not_called_gone(bank: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bank, tmp_path / "bank"))
    flip_bit(copy / "masks" / f"{TASKS[0]}.safetensors", -40)
    ran = run("evaluate", "--bank", copy, *HOPFIELD, "--group", "all", "--limit", 64, "--json")
    assert ran.code == 5
    assert [one["task"] for one in ran.json["left_out"]] == [TASKS[0]]
    assert "gone or changed" not in ran.err
