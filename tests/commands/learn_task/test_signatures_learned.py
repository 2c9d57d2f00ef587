"""Tasks learn their signature; --no-signature leaves it out and nothing else changes."""

import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.kinds.mask import Task, build_task
from bank_format.kinds.task_records import TaskFacts
from bank_format.store.tasks import parse_task
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import answer, learn, make_bank
from tests.support.stops import StopAfter, learn_to_the_end, request

TASKS = ("mnist-split-3", "mnist-perm-0", "mnist-perm-1")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("empty") / "bank")


@pytest.fixture(scope="module")
def signed(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learned one by one."""
    path = Path(shutil.copytree(empty, tmp_path_factory.mktemp("signed") / "bank"))
    for name in TASKS:
        learn(path, name, steps=20)
    return path


def _digests(bank: Path) -> dict[str, str]:
    return {task.content.task: task.content_sha256 for task in Bank.open(bank).read_tasks()[0]}


def _without_signature(bank: Bank, task: Task) -> Task:
    """Write the task as a version without signatures did."""
    stated = {one.name: getattr(task.content, one.name) for one in fields(TaskFacts)}
    facts = replace(TaskFacts(**stated), signature=None)
    data = build_task(bank.record, facts, task.masks, task.statistics, task.provenance)
    return parse_task(data, bank.record, task.content.task, "file", lambda _: task)


def test_without_it_the_file_is_that_of_version_1_with_its_digest(
    signed: Path, empty: Path, tmp_path: Path
) -> None:
    plain = Path(shutil.copytree(empty, tmp_path / "plain"))
    told = learn(plain, *TASKS, steps=20, more=("--no-signature",))
    whole = Bank.open(signed)
    for one in told:
        task = Bank.open(plain).read_task(one["task"])
        assert (task.content.version, dict(task.arrays), task.content.signature) == (1, {}, None)
        other = whole.read_task(one["task"])
        assert (other.content.version, other.content.signature is not None) == (2, True)
        assert _without_signature(whole, other).content_sha256 == task.content_sha256
        assert other.content_sha256 != task.content_sha256
    again = learn(plain, *TASKS, steps=20)
    assert {one["status"] for one in again} == {"exists"}
    assert all(one["bytes"] < whole.read_task(one["task"]).bytes_on_disk for one in told)


def test_together_gives_what_one_by_one_gives(signed: Path, empty: Path, tmp_path: Path) -> None:
    together = Path(shutil.copytree(empty, tmp_path / "together"))
    learn(together, *TASKS[::-1], steps=20)
    assert _digests(together) == _digests(signed)


def test_stopped_and_resumed_gives_the_same_signature(
    signed: Path, empty: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(empty, tmp_path / "resumed"))
    with pytest.raises(StoppedError):
        learn_task(path, request(steps=20), Silent(), StopAfter(7))
    assert learn_to_the_end(path, steps=20)[0] == _digests(signed)["mnist-split-3"]


def test_in_one_program_as_one_by_one(empty: Path, tmp_path: Path) -> None:
    paths = [Path(shutil.copytree(empty, tmp_path / name)) for name in ("block", "single")]
    data = ("mnist-perm-0", "mnist-perm-1")
    learn_task(paths[0], request(*data, recipe="fast", steps=8), Silent())
    for name in data:
        learn_task(paths[1], request(name, recipe="fast", steps=8), Silent())
    assert _digests(paths[0]) == _digests(paths[1])
    assert all(task.content.signature is not None for task in Bank.open(paths[0]).read_tasks()[0])


def test_the_seed_and_the_name_choose_the_images(signed: Path, empty: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(empty, tmp_path / "other"))
    learn(path, "mnist-split-3", steps=20, more=("--seed", 1))
    learn(path, "mnist-split-3", steps=20, more=("--name", "named"))
    means = [
        bank.read_task(name).arrays["signature/mean-scales"].tolist()
        for bank, name in (
            (Bank.open(signed), "mnist-split-3"),
            (Bank.open(path), "mnist-split-3"),
            (Bank.open(path), "named"),
        )
    ]
    shown = answer("tasks", "show", "named", "--bank", path)
    assert shown["ok"] is True
    images = Bank.open(path).read_task("named").content.signature
    assert images is not None
    # If all images are used, their choice makes no difference.
    assert (means[0] != means[1]) == (means[0] != means[2]) == (images.images < 11_000)
