"""`tasks remove`: it asks, refuses while others need the task, and can run again."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.errors import NoSuchTaskError
from bank_format.kinds.task_records import ParentRecord
from supsup_cli.cli import main
from tests.support.banks import PROVENANCE, add, add_combination, create, facts, masks
from tests.support.commands import answer, flip_bit, run


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = create(tmp_path / "bank")
    for name in ("a", "b", "c"):
        add(bank, name)
    return bank


def remove(bank: Bank, *words: object) -> dict[str, str]:
    document = answer("tasks", "remove", *words, "--bank", bank.path)
    return {one["task"]: one["status"] for one in document["tasks"]}


def test_tasks_are_removed_and_the_others_stay(bank: Bank) -> None:
    kept = bank.task_path("c").read_bytes()
    assert remove(bank, "a", "b", "a", "--yes") == {"a": "removed", "b": "removed"}
    assert bank.tasks() == ["c"]
    assert bank.task_path("c").read_bytes() == kept
    report = verify(bank.path)
    assert (report.problems, report.hints) == ((), ())


def test_elsewhere_than_on_a_terminal_it_needs_yes(bank: Bank) -> None:
    ran = run("tasks", "remove", "a", "--bank", bank.path)
    assert (ran.code, ran.out) == (2, "")
    message, hint = ran.err.splitlines()
    assert message == (
        f"supsup: remove task 'a' from {bank.path}: no terminal to ask on, expected --yes"
    )
    assert hint == f"  hint: supsup tasks remove a --bank {bank.path} --yes"
    assert bank.tasks() == ["a", "b", "c"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 2), ("\n", 2), ("", 2), ("yy\n", 2)]
)
def test_on_a_terminal_it_asks(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(typed))
    with redirect_stderr(_Terminal()) as shown, redirect_stdout(io.StringIO()):
        assert main(["tasks", "remove", "a", "b", "--bank", str(bank.path), "--json"]) == code
    assert shown.getvalue() == f"supsup: remove 2 tasks 'a', 'b' from {bank.path}? [y/N] "
    assert bank.tasks() == (["c"] if code == 0 else ["a", "b", "c"])


def test_a_dry_run_changes_nothing_and_does_not_ask(bank: Bank) -> None:
    assert remove(bank, "a", "--dry-run") == {"a": "would-remove"}
    assert bank.tasks() == ["a", "b", "c"]


def test_what_is_gone_is_done_only_if_missing_ok(bank: Bank) -> None:
    assert run("tasks", "remove", "a", "x", "--yes", "--bank", bank.path).code == 2
    assert bank.tasks() == ["a", "b", "c"]
    words = ("a", "x", "--yes", "--missing-ok")
    assert remove(bank, *words) == {"a": "removed", "x": "missing"}
    assert remove(bank, *words) == {"a": "missing", "x": "missing"}


def test_a_parent_stays_while_a_child_names_it(bank: Bank) -> None:
    add_combination(bank, "child", "a", "b")
    for words in (("a", "c", "--yes"), ("a", "--dry-run"), ("b", "a", "--yes")):
        ran = run("tasks", "remove", *words, "--bank", bank.path, "--json")
        assert (ran.code, ran.error["code"]) == (11, "in-use")
        assert "combination 'child' found that needs this task" in ran.error["message"]
        assert f"tasks remove child --bank {bank.path}" in ran.error["hint"]
    assert bank.tasks() == ["a", "b", "c", "child"]
    assert remove(bank, "child", "--yes") == {"child": "removed"}
    assert remove(bank, "a", "b", "--yes") == {"a": "removed", "b": "removed"}


def test_a_name_alone_makes_no_parent(bank: Bank) -> None:
    add_combination(bank, "child", "a", "b")
    bank.task_path("a").unlink()
    add(bank, "a", seed=9)  # another task took the name
    assert remove(bank, "a", "--yes") == {"a": "removed"}
    assert run("tasks", "remove", "b", "--yes", "--bank", bank.path).code == 11


def test_a_mask_stands_by_itself_whatever_its_learning_began_with(bank: Bank) -> None:
    parent = ParentRecord("a", bank.read_task("a").content_sha256)
    bank.add_task(facts("later", parents=(parent,)), masks(bank), {}, PROVENANCE)
    assert remove(bank, "a", "--yes") == {"a": "removed"}
    assert bank.read_task("later").content.parents == (parent,)


def test_children_go_before_their_parents(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    add_combination(bank, "child", "a", "c")
    order: list[str] = []
    monkeypatch.setattr(Bank, "remove_task", lambda _self, name: order.append(name))
    remove(bank, "a", "c", "child", "b", "--yes")
    assert sorted(order) == ["a", "b", "c", "child"]
    assert order.index("child") < min(order.index("a"), order.index("c"))


def test_a_damaged_task_can_be_removed(bank: Bank) -> None:
    flip_bit(bank.task_path("a"), 300)
    ran = run("tasks", "remove", "a", "--yes", "--bank", bank.path)
    assert ran.code == 0
    assert "what it is built on is unknown" in ran.err
    assert bank.tasks() == ["b", "c"]


def test_a_damaged_parent_is_known_by_its_name(bank: Bank) -> None:
    add_combination(bank, "child", "a", "b")
    flip_bit(bank.task_path("a"), 300)
    assert run("tasks", "remove", "a", "--yes", "--bank", bank.path).code == 11
    assert run("tasks", "remove", "b", "--yes", "--bank", bank.path).code == 11


def test_another_command_may_be_faster(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_self: Bank, name: str) -> None:
        raise NoSuchTaskError(f"no task {name!r}")

    monkeypatch.setattr(Bank, "remove_task", gone)
    assert run("tasks", "remove", "a", "--yes", "--bank", bank.path).code == 2
    assert remove(bank, "a", "--yes", "--missing-ok") == {"a": "missing"}
