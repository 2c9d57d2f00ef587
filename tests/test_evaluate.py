"""Test accuracy: each number computed again from what predict and infer-task answer."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from supsup_cli.data import catalog
from supsup_cli.data.splits import choose
from tests.commands import answer, learn, make_bank, make_class_folder, run

NAMES = ["mnist-perm-0", "mnist-perm-1", "mnist-perm-2", "mnist-split-3"]
LIMIT = ("--limit", 50, "--seed", 3)


def _expected(bank: Path, task: str, how: tuple[object, ...] = ()) -> dict[str, float]:
    """The shares of one task, from the answers to each of the same images."""
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


@pytest.mark.parametrize(
    "how", [(), ("--method", "one-shot", "--objective", "G"), ("--method", "binary", "--group", 8)]
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


def test_text_shows_shares_and_their_mean(bank: Path) -> None:
    document = answer("evaluate", "--bank", bank, *LIMIT)
    lines = run("evaluate", "--bank", bank, *LIMIT).out.splitlines()
    assert lines[0].split()[:3] == ["task", "images", "given"]
    rows = {line.split()[0]: line for line in lines[1:]}
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
