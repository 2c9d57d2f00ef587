"""Known or new, as the commands report it, and learning only what is new."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bank_format.bank import Bank
from supsup_cli.core.inference.novelty import CALIBRATION_LEVELS, DAMPED_LOG_ODDS
from tests.support.commands import answer, learn, make_bank, make_class_folder, run
from tests.support.stops import stop_after

STRANGERS = ("--data", "mnist-perm-50", "--limit", 60)
OWN = ("--data", "mnist-perm-0", "--limit", 60)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of two tasks, learned well enough to recognise strangers from single images."""
    return make_bank(tmp_path_factory.mktemp("new") / "bank", "mnist-perm-0..1", steps=400)


def share_new(bank: Path, *words: object, command: str = "infer-task") -> float:
    results = answer(command, "--bank", bank, *words)["results"]
    return sum(not one["known"] for one in results) / len(results)


def test_strangers_are_new_and_the_tasks_own_images_are_known(trained: Path) -> None:
    assert share_new(trained, *STRANGERS) > 0.8
    assert share_new(trained, *OWN) < 0.1


@pytest.mark.parametrize("how", [("--method", "one-shot"), ("--method", "binary"), ()])
def test_a_group_of_strangers_is_new_whatever_method_named_its_task(
    how: tuple[object, ...], trained: Path
) -> None:
    for words, new in ((STRANGERS, True), (OWN, False)):
        one = answer("infer-task", "--bank", trained, *words, "--group", "all", *how)["results"][0]
        assert (one["images"], one["known"]) == (60, not new)


def test_predict_and_infer_task_agree_and_predict_still_guesses(trained: Path) -> None:
    inferred = answer("infer-task", "--bank", trained, *STRANGERS)["results"]
    predicted = answer("predict", "--bank", trained, *STRANGERS)["results"]
    assert [one["known"] for one in inferred] == [one["known"] for one in predicted]
    assert all(one["label"] is not None and one["task"] is not None for one in predicted)
    given = ("--task", "mnist-perm-0")
    assert share_new(trained, *STRANGERS, *given, command="predict") == 0.0


@pytest.mark.parametrize("command", ["infer-task", "predict"])
def test_fail_on_new_ends_with_4_and_with_3_if_inputs_failed_too(
    command: str, trained: Path, tmp_path: Path
) -> None:
    words = (command, "--bank", trained, "--fail-on-new", "--json")
    ran = run(*words, *STRANGERS)
    assert (ran.code, ran.json["ok"]) == (4, True)
    assert run(command, "--bank", trained, *STRANGERS).code == 0
    assert run(*words, *OWN, "--group", "all").code == 0
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    ran = run(*words, tmp_path)
    assert (ran.code, [one["known"] for one in ran.json["results"]]) == (3, [None, False])


def test_people_read_new_and_the_nearest_task(trained: Path) -> None:
    for command in ("infer-task", "predict"):
        words = (command, "--bank", trained, "--data", "mnist-perm-50", "--limit", 5)
        known = [one["known"] for one in answer(*words)["results"]]
        lines = run(*words).out.splitlines()[:5]
        assert not all(known)
        assert ["new, nearest mnist-perm-" in line for line in lines] == [not one for one in known]


def test_evaluate_counts_false_alarms(trained: Path) -> None:
    words = ("--tasks", "mnist-perm-1", "--limit", 500)
    one = answer("evaluate", "--bank", trained, *words)["tasks"][0]
    found = share_new(trained, "--data", "mnist-perm-1", "--limit", 500)
    assert one["false_alarms"] == pytest.approx(found)
    assert f"{100 * found:.2f} %" in run("evaluate", "--bank", trained, *words).out.splitlines()[1]


def test_a_task_file_holds_the_quantiles(trained: Path) -> None:
    calibration = Bank.open(trained).read_task("mnist-perm-0").content.calibration
    assert calibration is not None
    assert (calibration.objective, calibration.images) == (DAMPED_LOG_ODDS, 3000)
    assert calibration.levels == CALIBRATION_LEVELS


def test_a_task_with_few_images_is_never_new(tmp_path: Path) -> None:
    pets = make_class_folder(tmp_path / "pets", {"cat": 0, "dog": 18})
    bank = make_bank(tmp_path / "bank")
    learn(bank, pets, steps=30)
    calibration = Bank.open(bank).read_task("pets").content.calibration
    assert calibration is not None
    assert calibration.images < 20
    assert share_new(bank, "--data", "mnist", "--limit", 20) == 0.0


def test_detect_learns_what_is_new_and_names_what_is_known(trained: Path, tmp_path: Path) -> None:
    bank = Path(shutil.copytree(trained, tmp_path / "bank"))
    before = Bank.open(bank).tasks()
    words = ("learn-task", "--bank", bank, "--detect", "--steps", 20)
    ran = run(*words, "--data", "mnist-perm-1", "--name", "again", "--json")
    assert ran.json["tasks"][0]["task"] == "mnist-perm-1"
    assert ran.json["tasks"][0]["status"] == "known"
    assert "belongs to task 'mnist-perm-1'" in ran.err
    assert Bank.open(bank).tasks() == before
    tasks = answer(*words, "--data", "mnist-perm-50")["tasks"]
    assert [(one["task"], one["status"]) for one in tasks] == [("mnist-perm-50", "learned")]


def test_data_that_became_known_leaves_nothing_of_its_stopped_learning(
    trained: Path, tmp_path: Path
) -> None:
    bank = Path(shutil.copytree(trained, tmp_path / "bank"))
    stop_after(bank, 5, "mnist-perm-2")
    assert Bank.open(bank).work.unfinished() == ["mnist-perm-2"]
    learn(bank, "mnist-perm-2", steps=400, more=("--name", "faster"))
    found = learn(bank, "mnist-perm-2", more=("--detect",))
    assert [(one["task"], one["status"]) for one in found] == [("faster", "known")]
    assert Bank.open(bank).work.unfinished() == []


def test_detect_in_an_empty_bank_learns(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    assert learn(bank, "mnist-perm-0", steps=5, more=("--detect",))[0]["status"] == "learned"


def test_equal_images_with_other_labels_are_another_task(trained: Path, tmp_path: Path) -> None:
    bank = Path(shutil.copytree(trained, tmp_path / "bank"))
    folder = tmp_path / "shifted"
    for split in ("train", "test"):
        answer("data", "export", "mnist-perm-0", folder / split, "--split", split, "--limit", 300)
        for place in range(9, -1, -1):
            (folder / split / str(place)).rename(folder / split / f"x{(place + 1) % 10}")
        for place in range(10):
            (folder / split / f"x{place}").rename(folder / split / str(place))
    status = learn(bank, folder, steps=5, more=("--detect",))[0]["status"]
    assert status == "learned"
    same = tmp_path / "same"
    answer("data", "export", "mnist-perm-0", same / "train", "--split", "train", "--limit", 300)
    answer("data", "export", "mnist-perm-0", same / "test", "--split", "test", "--limit", 300)
    again = learn(bank, same, steps=5, more=("--detect",))[0]
    assert (again["status"], again["task"]) == ("known", "mnist-perm-0"), json.dumps(again)
