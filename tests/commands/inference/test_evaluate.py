"""Test accuracy: each number is computed again from the answers of predict and infer-task."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from supsup_cli.data import catalog
from supsup_cli.data.splits import choose
from supsup_cli.workflows.compare import compare
from supsup_cli.workflows.inference import evaluate
from supsup_cli.workflows.inference.accuracy import HeldOutTask, Measured
from supsup_cli.workflows.inference.rules import Rule
from supsup_cli.workflows.opening import OpenTasks
from tests.support.commands import answer, learn, make_bank, make_class_folder, run

NAMES = ["mnist-perm-0", "mnist-perm-1", "mnist-perm-2", "mnist-split-3"]
LIMIT = ("--limit", 50, "--seed", 3)


def _expected(bank: Path, task: str, how: tuple[object, ...] = ()) -> dict[str, float]:
    """The shares for one task, from the answers for each of the same images."""
    test = catalog.load_test(task, (1, 28, 28))
    places = choose(len(test.test), 50, 3)
    labels = [test.classes[label] for label in test.test.labels[places]]
    words = ("--bank", bank, "--data", task, *LIMIT)
    given = answer("predict", *words, "--task", task)["results"]
    inferred = answer("predict", *words, *how)["results"]
    assert [one["source"] for one in given] == [f"{task}[{place}]" for place in places]
    both = [
        (one["task"] == task, one["label"] == label)
        for one, label in zip(inferred, labels, strict=True)
    ]
    decisions = answer("infer-task", *words, *how)["results"]
    right = [one["label"] == label for one, label in zip(given, labels, strict=True)]
    return {
        "accuracy_given": sum(right) / 50,
        "accuracy_inferred": sum(t and c for t, c in both) / 50,
        "accuracy_inferred_shared": sum(c for _, c in both) / 50,
        "task_accuracy": sum(one["task"] == task for one in decisions) / len(decisions),
        "false_alarms": sum(not one["known"] for one in inferred) / 50,
    }


@pytest.mark.parametrize("together", [1, 60, 100, 200])
def test_it_makes_no_difference_which_tasks_are_measured_together(
    together: int, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "images_together", lambda *_, count=together: count)
    measured = []
    measure = evaluate.measure

    def counted(opened: OpenTasks, rule: Rule, tests: Sequence[HeldOutTask]) -> list[Measured]:
        measured.append([opened.names[test.index] for test in tests])
        return measure(opened, rule, tests)

    monkeypatch.setattr(evaluate, "measure", counted)
    document = answer("evaluate", "--bank", bank, *LIMIT)
    assert [len(names) for names in measured] == {1: [1] * 4, 60: [1] * 4, 100: [2, 2], 200: [4]}[
        together
    ]
    assert [name for names in measured for name in names] == NAMES
    for one in document["tasks"]:
        expected = _expected(bank, one["task"])
        assert {key: one[key] for key in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    "how",
    [
        (),
        ("--method", "one-shot", "--objective", "G"),
        ("--method", "binary", "--group", 8),
        ("--method", "descent", "--group", 25),
    ],
)
def test_the_numbers_are_those_of_predict_and_infer_task(
    how: tuple[object, ...], bank: Path
) -> None:
    document = answer("evaluate", "--bank", bank, *LIMIT, *how)
    assert [one["task"] for one in document["tasks"]] == NAMES
    assert [one["images"] for one in document["tasks"]] == [50] * 4
    for one in document["tasks"]:
        expected = _expected(bank, one["task"], how)
        assert {key: one[key] for key in expected} == pytest.approx(expected)
    for key, mean in document["mean"].items():
        assert mean == pytest.approx(sum(one[key] for one in document["tasks"]) / 4)


def test_accuracy_given_is_what_learn_task_reported(bank: Path) -> None:
    learned = learn(bank, "mnist-perm-0..2", "mnist-split-3")
    evaluated = answer("evaluate", "--bank", bank)["tasks"]
    assert [one["images"] for one in evaluated] == [10_000, 10_000, 10_000, 1_986]
    for one, before in zip(evaluated, learned, strict=True):
        assert one["task"] == before["task"]
        assert one["accuracy_given"] == pytest.approx(before["accuracy"], abs=1e-12)


def test_some_tasks_are_measured_while_all_compete(bank: Path) -> None:
    whole = answer("evaluate", "--bank", bank, *LIMIT)["tasks"]
    words = ("--tasks", NAMES[2], "--tasks", NAMES[0], "--tasks", NAMES[2])
    some = answer("evaluate", "--bank", bank, *LIMIT, *words)["tasks"]
    assert some == [whole[2], whole[0]]


def test_sizes_of_groups_are_those_of_group(bank: Path) -> None:
    words = ("evaluate", "--bank", bank, *LIMIT, "--method", "binary")
    document = answer(*words, "--group-sizes", "8,1,8")
    assert [one["group"] for one in document["by_group"]] == [1, 8]
    for one in document["by_group"]:
        alone = answer(*words, "--group", one["group"])
        assert {key: one[key] for key in alone["mean"]} == alone["mean"]
        assert alone["by_group"] == []
    text = run(*words, "--group-sizes", "1,8").out
    assert "group of" in text


@pytest.mark.parametrize("sizes", ["0", "a", "1,", "1;2", "-1"])
def test_sizes_that_are_no_numbers_are_refused(sizes: str, bank: Path) -> None:
    ran = run("evaluate", "--bank", bank, f"--group-sizes={sizes}", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")


def test_confusion_counts_every_image_under_the_task_it_is_taken_for(bank: Path) -> None:
    words = ("evaluate", "--bank", bank, *LIMIT, "--method", "one-shot")
    document = answer(*words)
    for one in document["tasks"]:
        counts = {
            each["named"]: each["images"]
            for each in document["confusion"]
            if each["task"] == one["task"]
        }
        assert sum(counts.values()) == 50
        assert counts.get(one["task"], 0) == round(50 * one["task_accuracy"])
        decided = ("infer-task", "--bank", bank, "--data", one["task"], *LIMIT)
        named = [each["task"] for each in answer(*decided, "--method", "one-shot")["results"]]
        assert counts == {name: named.count(name) for name in named}
    wrong = [one for one in document["confusion"] if one["task"] != one["named"]]
    worst = max(wrong, key=lambda one: int(one["images"]))
    told = [line.split() for line in run(*words).out.splitlines()]
    assert [worst["task"], worst["named"], str(worst["images"])] in told


@pytest.mark.parametrize(
    ("option", "name", "code"),
    [("--csv", "none/a.csv", 13), ("--csv", "", 13), ("--plot", "a.sxw", 2)],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    bank: Path,
    tmp_path: Path,
    option: str,
    name: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for workflow in (evaluate, compare):
        for work in ("measure", "named_tasks"):
            monkeypatch.setattr(workflow, work, None, raising=False)
    for words in (("evaluate", "--bank", bank), ("compare", "--data", "mnist-split-0..1")):
        ran = run(*words, option, tmp_path / name, "--json", "--quiet")
        assert ran.code == code, ran
        assert str(tmp_path / name) in ran.error["message"]
    assert list(tmp_path.iterdir()) == []


def test_csv_holds_the_table_and_the_confusion(bank: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    words = ("evaluate", "--bank", bank, *LIMIT, "--csv", table)
    document = answer(*words)
    assert document["csv"] == str(table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts = {(one["task"], one["named"]): one["images"] for one in document["confusion"]}
    assert [row["task"] for row in rows] == NAMES
    for row, one in zip(rows, document["tasks"], strict=True):
        assert list(row) == [*one_row(one), *(f"named {name}" for name in NAMES)]
        for key in ("accuracy_given", "accuracy_inferred", "task_accuracy"):
            assert float(row[key]) == one[key]
        named = [int(row[f"named {name}"]) for name in NAMES]
        assert named == [counts.get((one["task"], name), 0) for name in NAMES]
    assert answer(*words) | {"seconds": 0} == document | {"seconds": 0}  # it is written again
    nowhere = run(*words[:-1], tmp_path / "none" / "a.csv", "--json")
    assert (nowhere.code, nowhere.error["code"]) == (13, "storage")


def one_row(task: dict[str, Any]) -> list[str]:
    return ["task", "images", *(key for key in task if key not in ("task", "images"))]


def test_plot_writes_a_picture(bank: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("evaluate", "--bank", bank, *LIMIT, "--plot")
    narrow, wide = tmp_path / "tasks.png", tmp_path / "sizes.png"
    assert answer(*words, narrow)["plot"] == str(narrow)
    answer(*words, wide, "--group-sizes", "1,4")
    with Image.open(narrow) as one, Image.open(wide) as two:
        assert (one.format, two.format) == ("PNG", "PNG")
        assert two.width > 1.4 * one.width
        assert len(one.convert("RGB").getcolors(maxcolors=1 << 20)) > 10
    unknown = run(*words, tmp_path / "tasks.xyz", "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "usage")


def test_text_shows_shares_and_their_mean(bank: Path) -> None:
    document = answer("evaluate", "--bank", bank, *LIMIT)
    lines = run("evaluate", "--bank", bank, *LIMIT).out.splitlines()
    assert lines[0].split()[:3] == ["task", "images", "given"]
    rows = {line.split()[0]: line for line in lines[1:6]}
    for one in [*document["tasks"], {"task": "mean", "images": 200, **document["mean"]}]:
        assert f"{100 * one['accuracy_inferred']:.2f} %" in rows[one["task"]]
        assert str(one["images"]) in rows[one["task"]]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return make_class_folder(tmp_path / "pets", {"cat": 0, "dog": 18})


def _learned(tmp_path: Path, pets: Path) -> tuple[Path, dict[str, Any]]:
    bank = make_bank(tmp_path / "bank", "mnist-split-3", steps=10)
    return bank, learn(bank, pets, steps=50, more=("--seed", 5))[0]


def test_a_folder_task_is_measured_on_the_share_that_was_held_out(
    pets: Path, tmp_path: Path
) -> None:
    bank, task = _learned(tmp_path, pets)
    one = answer("evaluate", "--bank", bank, "--tasks", "pets")["tasks"][0]
    assert one["images"] == 12
    assert one["accuracy_given"] == pytest.approx(task["accuracy"], abs=1e-12)


@pytest.mark.parametrize("gone", [True, False])
def test_a_folder_that_is_gone_or_changed_is_a_failure_of_its_task_alone(
    gone: bool, pets: Path, tmp_path: Path
) -> None:
    bank, _ = _learned(tmp_path, pets)
    if gone:
        shutil.rmtree(pets)
    else:
        shutil.copy(pets / "cat" / "000.png", pets / "cat" / "another.png")
    words = ("evaluate", "--bank", bank, "--limit", 10)
    ran = run(*words, "--json")
    assert ran.code == 3
    assert [one["task"] for one in ran.json["tasks"]] == ["mnist-split-3"]
    assert [one["source"] for one in ran.json["failed"]] == ["pets"]
    assert str(pets) in ran.json["failed"][0]["error"]
    assert f"not read: pets: {pets}" in run(*words).out
    alone = run(*words, "--tasks", "pets", "--json")
    assert (alone.code, alone.error["code"]) == (2, "no-input")
