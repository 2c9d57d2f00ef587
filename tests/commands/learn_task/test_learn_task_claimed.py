"""Two learners, one name: the second is refused at its start; other names do not wait."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.errors import LockedError
from bank_format.store.work import Work
from supsup_cli.data import catalog
from tests.support.commands import ROOT, answer, learn, make_bank, run

CLAIM = """
import sys
from pathlib import Path
from bank_format.bank import Bank
with Bank.open(Path(sys.argv[1])).work.claim(sys.argv[2]):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _claimed_by_another_process(bank: Path, task: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CLAIM, str(bank), task]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "claimed\n"
        yield process
        process.communicate("")


def _data_must_not_be_read(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise AssertionError("data were read before the claim was checked")

    patch.setattr(catalog, "load", refuse)
    patch.setattr(catalog, "digest", refuse)


def test_a_name_that_another_process_learns_is_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = make_bank(tmp_path / "bank")
    names = ("--data", "mnist-perm-0")
    with _claimed_by_another_process(bank, "mnist-perm-0") as process:
        with monkeypatch.context() as patch:
            _data_must_not_be_read(patch)
            ran = run("learn-task", "--bank", bank, *names, "--steps", 5, "--json")
        assert (ran.code, ran.error["code"]) == (11, "locked")
        assert "work/mnist-perm-0/claim: held by process" in ran.error["message"]
        assert f" {process.pid} on " in ran.error["message"]
        assert ran.error["hint"]
        assert answer("tasks", "--bank", bank)["tasks"] == []
        assert learn(bank, "mnist-perm-1", steps=5)[0]["status"] == "learned"


def test_others_are_learned_before_a_name_that_is_held_is_refused(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    names = ("--data", "mnist-perm-0", "--data", "mnist-perm-6")
    with _claimed_by_another_process(bank, "mnist-perm-0"):
        ran = run("learn-task", "--bank", bank, *names, "--steps", 5, "--json")
        assert (ran.code, ran.error["code"]) == (11, "locked")
        assert "work/mnist-perm-0/claim" in ran.error["message"]
        assert [one["task"] for one in answer("tasks", "--bank", bank)["tasks"]] == ["mnist-perm-6"]
    done = learn(bank, "mnist-perm-0", "mnist-perm-6", steps=5)
    assert [one["status"] for one in done] == ["learned", "exists"]


def test_a_dead_process_s_claim_does_not_block(own_bank: Path) -> None:
    with _claimed_by_another_process(own_bank, "mnist-perm-5") as process:
        process.kill()
        process.wait()
    assert (own_bank / "work" / "mnist-perm-5" / "claim").exists()
    assert learn(own_bank, "mnist-perm-5", steps=2)[0]["status"] == "learned"
    assert list((own_bank / "work").iterdir()) == []


def test_a_task_that_is_there_is_reported_though_its_claim_is_held(own_bank: Path) -> None:
    with _claimed_by_another_process(own_bank, "mnist-perm-0"):
        assert learn(own_bank, "mnist-perm-0")[0]["status"] == "exists"


def test_readers_do_not_wait_for_a_learner(own_bank: Path) -> None:
    with _claimed_by_another_process(own_bank, "mnist-perm-0"):
        for command in ("stats", "tasks", "verify"):
            assert answer(command, "--bank", own_bank)["ok"] is True
        evaluated = answer("evaluate", "--bank", own_bank, "--limit", 5)
    assert len(evaluated["tasks"]) == 4


@pytest.mark.parametrize("attempts", [1, 99])
def test_a_name_that_is_taken_up_meanwhile_comes_last(
    attempts: int, own_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, refused = Work.claim, []

    def claim_late(work: Work, name: str) -> Any:
        if name == "mnist-perm-5" and len(refused) < attempts:
            refused.append(name)
            raise LockedError(f"work/{name}/claim: held by a live process, expected free")
        return claim(work, name)

    monkeypatch.setattr(Work, "claim", claim_late)
    words = ("learn-task", "--bank", own_bank, "--data", "mnist-perm-4..6", "--steps", 2)
    ran = run(*words, "--json")
    assert "mnist-perm-5: another process learns it; its turn is last" in ran.err
    there = {one["task"] for one in answer("tasks", "--bank", own_bank)["tasks"]}
    assert {"mnist-perm-4", "mnist-perm-6"} <= there
    if attempts == 1:
        assert [one["task"] for one in ran.json["tasks"]] == [
            "mnist-perm-4", "mnist-perm-5", "mnist-perm-6"
        ]  # fmt: skip
    else:
        assert (ran.code, ran.error["code"]) == (11, "locked")
        assert "mnist-perm-5" not in there


def test_a_task_that_appears_meanwhile_exists(
    own_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, calls = Bank.tasks, []

    def without_it_at_first(bank: Bank) -> list[str]:
        calls.append(bank)
        return [name for name in tasks(bank) if len(calls) > 2 or name != "mnist-perm-0"]

    monkeypatch.setattr(Bank, "tasks", without_it_at_first)
    assert learn(own_bank, "mnist-perm-0")[0]["status"] == "exists"
    assert len(calls) > 2
