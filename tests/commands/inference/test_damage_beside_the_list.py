"""Damage stops only answers that depend on it: with an index, without one, with a wrong one."""

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.encoding.sealed import unseal
from bank_format.index.list_part import build_list, parse_list
from bank_format.index.list_rows import list_of
from bank_format.index.rows import sample_size
from supsup_cli import api
from supsup_cli.data.catalog import load_test
from supsup_cli.workflows.inference import evaluate as evaluating
from supsup_cli.workflows.inference import predict as predicting
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.lazy_tasks import LazyTasks, open_lazily
from supsup_cli.workflows.reporting import Silent
from tests.support.banks import index_files
from tests.support.commands import answer, flip_bit, make_bank, run

NAMES = ("mnist-perm-0", "mnist-perm-1", "mnist-perm-2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bank = make_bank(tmp_path_factory.mktemp("beside") / "bank", *NAMES)
    assert index_files(bank)
    return bank


@pytest.fixture(params=["indexed", "copied", "without"])
def bank(request: pytest.FixtureRequest, whole: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(whole, tmp_path / "bank"))
    if request.param == "without":
        for path in index_files(copy):
            path.unlink()
    if request.param == "indexed":  # with the stamps that the files have now
        assert run("tasks", "copy", NAMES[0], "--from", copy, "--as", "x", "--bank", copy).code == 0
        assert run("tasks", "remove", "x", "--yes", "--bank", copy).code == 0
    return copy


def _file(bank: Path, name: str) -> Path:
    return bank / "masks" / f"{name}.safetensors"


def _in_the_mask(bank: Path, name: str) -> int:
    """Find a byte in the middle of the first mask in a task's file."""
    data = _file(bank, name).read_bytes()
    tensors, _ = unseal(data, name)
    first = max((one for key, one in tensors.items() if key.startswith("mask/")), key=len).tobytes()
    return data.index(first) + len(first) // 2


def _asked(bank: Path, name: str, *words: object) -> tuple[Any, ...]:
    return ("--bank", bank, "--data", name, "--limit", 12, *words)


@pytest.mark.parametrize("command", ["infer-task", "predict"])
def test_a_mask_that_is_not_in_doubt_stops_no_answer(
    bank: Path, command: str, tmp_path: Path
) -> None:
    assert run("data", "export", "mnist-perm-0", tmp_path / "images", "--limit", 20).code == 0
    listed = answer("infer-task", "--bank", bank, tmp_path / "images", "--top", 3)["results"]
    alone = [one["source"] for one in listed if "mnist-perm-2" not in dict(one["scores"])]
    assert alone
    asked = ("--bank", bank, *alone)
    before = answer(command, *asked)
    flip_bit(_file(bank, "mnist-perm-2"), _in_the_mask(bank, "mnist-perm-2"))
    after = run(command, *asked, "--json")
    assert after.code == 0, after
    assert after.json["left_out"] == []
    told = [{key: one[key] for key in ("task", "known")} for one in before["results"]]
    assert [{key: one[key] for key in ("task", "known")} for one in after.json["results"]] == told
    assert [one["file"] for one in run("verify", "--bank", bank, "--json").json["problems"]] == [
        "masks/mnist-perm-2.safetensors"
    ]


@pytest.mark.parametrize("command", ["infer-task", "predict", "evaluate"])
def test_damage_on_the_list_is_named_and_the_rest_answers(bank: Path, command: str) -> None:
    flip_bit(_file(bank, "mnist-perm-1"), _in_the_mask(bank, "mnist-perm-1"))
    words = ("--bank", bank, "--limit", 12) if command == "evaluate" else ()
    ran = run(command, *(words or _asked(bank, "mnist-perm-1")), "--json")
    assert ran.code == 5
    (left,) = ran.json["left_out"]
    assert (left["task"], left["exit"]) == ("mnist-perm-1", 5)
    assert "masks/mnist-perm-1.safetensors" in left["message"]
    assert "the other tasks answer" in ran.err
    if command == "evaluate":
        assert [one["task"] for one in ran.json["tasks"]] == ["mnist-perm-0", "mnist-perm-2"]
    else:
        assert {one["task"] for one in ran.json["results"]} <= {"mnist-perm-0", "mnist-perm-2"}
    assert "left out: mnist-perm-1: " in run(command, *(words or _asked(bank, "mnist-perm-1"))).out


def test_where_every_mask_is_tried_the_damaged_one_is_left_out(bank: Path) -> None:
    whole = answer("infer-task", *_asked(bank, "mnist-perm-0", "--method", "exhaustive"))
    flip_bit(_file(bank, "mnist-perm-2"), -40)
    ran = run("infer-task", *_asked(bank, "mnist-perm-0", "--method", "exhaustive"), "--json")
    assert ran.code == 5
    assert [one["task"] for one in ran.json["left_out"]] == ["mnist-perm-2"]
    assert [one["task"] for one in ran.json["results"]] == [one["task"] for one in whole["results"]]
    assert all(one["masks_tried"] == 2 for one in ran.json["results"])


def test_a_stream_of_answers_goes_on(bank: Path, tmp_path: Path) -> None:
    assert run("data", "export", "mnist-perm-1", tmp_path / "images", "--limit", 3).code == 0
    flip_bit(_file(bank, "mnist-perm-1"), _in_the_mask(bank, "mnist-perm-1"))
    for quiet in ((), ("--quiet",)):  # no document names it, so it is told in any case
        ran = run("predict", "--bank", bank, tmp_path / "images", "--json-lines", *quiet)
        assert ran.code == 5
        assert len(ran.out.splitlines()) == 3
        assert ran.err.count("masks/mnist-perm-1.safetensors") == 1


def test_a_line_that_names_nothing_asks_no_task(
    bank: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = min((images / "perm-0").rglob("*.png"))
    flip_bit(_file(bank, "mnist-perm-0"), _in_the_mask(bank, "mnist-perm-0"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"gone.png\n{image}\n"))
    ran = run("predict", "--bank", bank, "--json-lines", "-")
    gone, found = map(json.loads, ran.out.splitlines())
    assert (ran.code, gone["source"]) == (5, "gone.png")
    assert found["task"] in NAMES[1:]


def test_no_task_left_is_an_error(bank: Path) -> None:
    for name in NAMES:
        flip_bit(_file(bank, name), -40)
    for command in ("infer-task", "predict"):
        ran = run(command, *_asked(bank, "mnist-perm-0"), "--json")
        assert (ran.code, ran.error["code"]) == (5, "damaged")


@pytest.mark.parametrize("method", ["auto", "signature"])
def test_where_all_tasks_are_removed_meanwhile_the_bank_is_named(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    bank = Path(shutil.copytree(whole, tmp_path / "bank"))

    def opened_then_emptied(*asked: Any) -> LazyTasks:
        opened = open_lazily(*asked)
        assert run("tasks", "remove", *NAMES, "--yes", "--bank", bank).code == 0
        return opened

    monkeypatch.setattr(predicting, "open_lazily", opened_then_emptied)
    ran = run("predict", *_asked(bank, "mnist-perm-0", "--method", method), "--json")
    assert (ran.code, ran.error["code"]) == (2, "no-such-task"), ran
    assert str(bank) in ran.error["message"]


@pytest.mark.parametrize("lie", [{"steps": 999}, {"sparse": True}])
def test_an_index_that_lies_is_named_and_the_answer_comes_from_the_files(
    bank: Path, lie: dict[str, Any]
) -> None:
    before = answer("infer-task", *_asked(bank, "mnist-perm-0"))
    record = Bank.open(bank).record
    lists = [path for path in index_files(bank) if "list" in path.name]
    for path in lists:
        rows = parse_list(path.read_bytes(), record, "list")
        lies = list_of([row._replace(**lie) for row in rows.values()], sample_size(record))
        path.write_bytes(build_list(record, lies))
    after = run("infer-task", *_asked(bank, "mnist-perm-0"), "--json")
    assert after.code == 0
    assert after.json["results"] == before["results"]
    told = [f"{path}: the index contradicts the file of task mnist-perm-" for path in lists]
    assert ("the index contradicts" in after.err) == bool(lists)
    assert all(one in after.err for one in told)


def test_a_task_that_is_replaced_meanwhile_is_no_lie(whole: Path, tmp_path: Path) -> None:
    bank = Path(shutil.copytree(whole, tmp_path / "bank"))
    opened = open_lazily(bank, "cpu")
    rule = choose_rule(opened, DecisionRequest("auto", None, "image", "cpu"), Silent())
    assert run("tasks", "remove", NAMES[2], "--yes", "--bank", bank).code == 0
    again = ("--data", NAMES[2], "--steps", 4, "--density", 0.02, "--seed", 5)
    assert run("learn-task", "--bank", bank, *again).code == 0
    images = load_test(NAMES[2], (1, 28, 28)).test.images[:12]
    groups = [[place] for place in range(len(images))]
    decided = decide(opened, rule, images, groups, len(NAMES))
    assert opened.reader.faults == []
    new = open_lazily(bank, "cpu")
    rule = choose_rule(new, DecisionRequest("auto", None, "image", "cpu"), Silent())
    expected = decide(new, rule, images, groups, len(NAMES))
    assert decided.labels.tolist() == expected.labels.tolist()
    assert decided.scores == pytest.approx(expected.scores, rel=1e-4, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("method", ["auto", "exhaustive"])
@pytest.mark.parametrize("workflow", [predicting, evaluating])
def test_a_command_goes_on_where_a_task_is_replaced_after_it_began(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workflow: Any, method: str
) -> None:
    bank = Path(shutil.copytree(whole, tmp_path / "bank"))

    def opened_then_replaced(*asked: Any) -> LazyTasks:
        opened = open_lazily(*asked)
        assert run("tasks", "remove", NAMES[2], "--yes", "--bank", bank).code == 0
        again = ("--data", "mnist-split-4", "--name", NAMES[2], "--steps", 20)
        assert run("learn-task", "--bank", bank, *again).code == 0
        return opened

    words: tuple[object, ...] = ("--limit", 12, "--method", method, "--bank", bank)
    words = ("evaluate", *words)
    if workflow is predicting:
        words = ("predict", *words[1:], "--data", "mnist-split-4")
    monkeypatch.setattr(workflow, "open_lazily", opened_then_replaced)
    meanwhile = answer(*words)
    monkeypatch.undo()
    key, *told = ("tasks", "task", "accuracy_given", "task_accuracy")
    if workflow is predicting:
        key, *told = ("results", "task", "label")
    rows, expected = (
        [[one[name] for name in told] for one in document[key]]
        for document in (meanwhile, answer(*words))
    )
    assert rows == expected


def test_a_replaced_task_keeps_no_class_of_the_old_one(whole: Path, tmp_path: Path) -> None:
    bank = Path(shutil.copytree(whole, tmp_path / "bank"))
    opened = open_lazily(bank, "cpu")
    assert opened.tasks[2].content.task == NAMES[2]
    assert run("tasks", "remove", NAMES[2], "--yes", "--bank", bank).code == 0
    again = ("--data", "mnist-split-4", "--name", NAMES[2], "--steps", 4)
    assert run("learn-task", "--bank", bank, *again).code == 0
    opened.distrust(NAMES[2])
    assert [one.output for one in opened.tasks[2].content.classes] == [8, 9]
    assert opened.own[2].nonzero()[:, 0].tolist() == [8, 9]


def test_python_is_warned(whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "bank"))
    assert run("data", "export", "mnist-perm-1", tmp_path / "images", "--limit", 2).code == 0
    flip_bit(_file(copy, "mnist-perm-1"), _in_the_mask(copy, "mnist-perm-1"))
    bank = api.Bank(copy, device="cpu")
    with pytest.warns(RuntimeWarning, match="mnist-perm-1"):
        assert len(bank.predict(tmp_path / "images")) == 2
