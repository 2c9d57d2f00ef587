"""Streams as the command learns them."""

from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from supsup_cli.core.streams.stream_learner import StreamDecision, StreamSettings
from supsup_cli.workflows.learning.plan import Plan
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.streams.commits import homes_of
from supsup_cli.workflows.streams.data import StreamData
from supsup_cli.workflows.streams.plan import StreamPlan, StreamRequest
from tests.support.commands import answer, learn, make_bank, make_class_folder, run

VISITS = ("mnist-perm-0", "mnist-perm-1", "mnist-perm-0")
WORDS = (*(word for one in VISITS for word in ("--data", one)), "--visit", 60)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    bank = make_bank(tmp_path_factory.mktemp("streams") / "bank")
    return bank, answer("learn-stream", "--bank", bank, *WORDS)


def test_it_finds_the_hidden_tasks_and_commits_each_once(
    learned: tuple[Path, dict[str, Any]],
) -> None:
    bank, document = learned
    assert [one["task"] for one in document["tasks"]] == ["stream-0", "stream-1"]
    assert {one["status"] for one in document["tasks"]} == {"learned"}
    assert [one["steps"] for one in document["tasks"]] == [120, 60]
    assert document["decisions"] == [
        {"batch": 0, "task": "stream-0", "new": True},
        {"batch": 60, "task": "stream-1", "new": True},
        {"batch": 100, "task": "stream-1", "new": False},
        {"batch": 120, "task": "stream-0", "new": False},
    ]
    assert (document["batches"], document["rule"]) == (180, "loss")
    assert Bank.open(bank).tasks() == ["stream-0", "stream-1"]
    content = Bank.open(bank).read_task("stream-1").content
    assert content.data.name == "mnist-perm-1"
    assert content.calibration is not None


def test_its_tasks_are_evaluated_like_any_other(learned: tuple[Path, dict[str, Any]]) -> None:
    bank, document = learned
    tasks = answer("evaluate", "--bank", bank, "--limit", 300)["tasks"]
    # chance is 0.1 for the class and 0.5 for the task
    assert all(one["accuracy_given"] > 0.3 and one["task_accuracy"] > 0.8 for one in tasks)
    assert all(one["accuracy"] > 0.3 for one in document["tasks"])


def test_the_same_stream_again_is_left_alone(learned: tuple[Path, dict[str, Any]]) -> None:
    bank, document = learned
    again = answer("learn-stream", "--bank", bank, *WORDS)
    assert {one["status"] for one in again["tasks"]} == {"exists"}
    for one, before in zip(again["tasks"], document["tasks"], strict=True):
        assert one["content_sha256"] == before["content_sha256"]
    ran = run("learn-stream", "--bank", bank, *WORDS, "--seed", 1, "--json")
    assert (ran.code, ran.error["code"]) == (11, "name-taken")


def test_what_a_stopped_commit_left_is_completed(
    learned: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    bank = make_bank(tmp_path / "bank")
    Bank.open(bank).copy_task("stream-0", Bank.open(learned[0]))
    document = answer("learn-stream", "--bank", bank, *WORDS)
    assert [one["status"] for one in document["tasks"]] == ["exists", "learned"]
    digests = [one["content_sha256"] for one in document["tasks"]]
    assert digests == [one["content_sha256"] for one in learned[1]["tasks"]]


def test_people_read_where_tasks_change_and_when_the_budget_ends(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    ran = run("learn-stream", "--bank", bank, *WORDS, "--budget", 1, "--name", "s")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert lines[1].split()[:2] == ["s-0", "learned"]
    assert lines[2:5] == [
        "from batch 0: s-0 (new)",
        "from batch 60: none, the budget is used up",
        "from batch 120: s-0",
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--rule", "loud", *WORDS), "usage"),
        ((), "usage"),
        (("--data", "mnist-perm--1"), "usage"),
        (("--name", "Not A Name", *WORDS), "bad-name"),
        (("--data", "/no/such/folder"), "no-input"),
    ],
)
def test_what_cannot_be_learned_is_refused_at_once(
    words: tuple[object, ...], code: str, bank: Path
) -> None:
    ran = run("learn-stream", "--bank", bank, *words, "--json")
    assert (ran.code, ran.error["code"]) == (2, code)


def test_a_name_of_another_task_is_refused_before_learning(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    learn(bank, "mnist-perm-3", steps=2, more=("--name", "stream-4"))
    ran = run("learn-stream", "--bank", bank, *WORDS, "--json")
    assert (ran.code, ran.error["code"]) == (11, "name-taken")
    assert "stream-4" in ran.error["message"]
    assert Bank.open(bank).tasks() == ["stream-4"]


def test_a_mask_is_at_home_where_most_of_its_batches_came_from() -> None:
    a, b = Plan("a", "a", "0"), Plan("b", "b", "1")
    decisions = [
        StreamDecision(0, 0, True),
        StreamDecision(17, 1, True),
        StreamDecision(20, 0, False),
        StreamDecision(24, None, True),
        StreamDecision(28, 1, False),
    ]
    # mask 0 saw 10 of a, 7 + 4 of b; mask 1 saw 3 + 2 of b, 10 of a
    assert homes_of(decisions, (a, b, b, a), 10) == {0: b, 1: a}
    assert homes_of(decisions[:1], (a, b), 10) == {0: a}


@pytest.mark.parametrize("place", [0, 2])
def test_images_that_cannot_be_read_are_failed_inputs(tmp_path: Path, place: int) -> None:
    """Also of data that are no mask's own in the end."""
    folders = [make_class_folder(tmp_path / "usual", {"low": 2, "high": 16})] * 3
    odd = make_class_folder(tmp_path / "odd", {"low": 2, "high": 16}, each=30)
    (odd / "low" / "000.png").write_bytes(b"this is no image")
    folders.insert(place, odd)
    data = [word for one in folders for word in ("--data", one)]
    bank = make_bank(tmp_path / "bank")
    ran = run("learn-stream", "--bank", bank, *data, "--visit", 15, "--json")
    assert ran.code == 3
    (failed,) = ran.json["failed"]
    assert failed["source"].endswith("odd/low/000.png")
    assert "calibration images" in ran.err


def test_data_that_an_earlier_run_learned_from_are_told_of_too(tmp_path: Path) -> None:
    folder = make_class_folder(tmp_path / "odd", {"low": 2, "high": 16})
    (folder / "low" / "000.png").write_bytes(b"this is no image")
    data = StreamData(
        (1, 28, 28), StreamRequest((str(folder),), 1, "s", 1, 100, "loss", 128, 0, "cpu"), Silent()
    )
    visit = Plan("odd", str(folder), "0" * 64)
    plan = StreamPlan((visit, visit), StreamSettings(1), "0" * 64, 2)
    data.read_rest(plan)
    data.read_rest(plan)
    assert [one.source for one in data.failed] == [str(folder / "low" / "000.png")]
