"""`compare`: each number computed again from other commands, and what is kept of a run."""

import csv
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from supsup_cli.baselines.catalog import RIVALS
from supsup_cli.baselines.learner import Learner
from supsup_cli.baselines.metrics import DEFINITIONS
from tests.support.commands import answer, make_class_folder, run

TASKS = ("--data", "mnist-perm-0..2")
SMALL = ("--arch", "mlp-16-16", "--outputs", 100, "--steps", 40, "--limit", 60, "--rates", "fixed")
FEW = ("--methods", "supsup,batche,lower-bound")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder in which a comparison was kept, and the answer of the command."""
    folder = tmp_path_factory.mktemp("compare") / "kept"
    table = folder.parent / "r.csv"
    words = ("--seed", 1, "--keep", folder, "--csv", table)
    return folder, answer("compare", *TASKS, *SMALL, *FEW, *words)


def _rows(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["method"], one["scenario"]): one for one in document["methods"]}


def test_our_own_rows_are_what_evaluate_says_of_the_kept_bank(
    kept: tuple[Path, dict[str, Any]],
) -> None:
    folder, document = kept
    rows = _rows(document)
    bank = folder / "seed-1" / "supsup" / "bank"
    evaluated = answer("evaluate", "--bank", bank, "--limit", 60, "--seed", 1)["tasks"]
    keys = {"GG": "given", "GNu": "inferred", "GNs": "inferred_shared"}
    for scenario, key in keys.items():
        last = rows["supsup", scenario]["matrix"][-1]
        assert last == [one[f"accuracy_{key}"] for one in evaluated]
    files = answer("tasks", "--bank", bank)["tasks"]
    assert rows["supsup", "GNu"]["bytes"] == sum(one["bytes"] for one in files)


def test_a_matrix_has_what_was_measured_and_the_measures_follow_from_it(
    kept: tuple[Path, dict[str, Any]],
) -> None:
    _, document = kept
    assert document["tasks"] == ["mnist-perm-0", "mnist-perm-1", "mnist-perm-2"]
    assert document["images"] == [60, 60, 60]
    assert document["definitions"] == DEFINITIONS
    for (method, scenario), row in _rows(document).items():
        matrix = row["matrix"]
        ahead = scenario == "GNs"
        missing = [[share is None for share in line] for line in matrix]
        assert missing == [[j > i + ahead for j in range(3)] for i in range(3)], method
        assert row["accuracy"] == pytest.approx(sum(matrix[2]) / 3)
        assert (row["forward_transfer"] is None) == (not ahead)
        if method != "lower-bound":
            assert scenario == "GNu" or row["backward_transfer"] == pytest.approx(0, abs=0.1)
    forgets = _rows(document)["lower-bound", "GG"]
    expected = [max(forgets["matrix"][i][j] for i in range(j, 2)) for j in range(2)]
    last = forgets["matrix"][2]
    assert forgets["forgetting"] == pytest.approx(sum(expected) / 2 - sum(last[:2]) / 2)


def test_the_table_for_spreadsheets_has_every_accuracy(kept: tuple[Path, dict[str, Any]]) -> None:
    folder, document = kept
    with (folder.parent / "r.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    written = {
        (one["method"], one["scenario"], int(one["after"]), one["task"]): float(one["accuracy"])
        for one in lines
    }
    expected = {
        (method, scenario, after, task): share
        for (method, scenario), row in _rows(document).items()
        for after, line in enumerate(row["matrix"], start=1)
        for task, share in zip(document["tasks"], line, strict=True)
        if share is not None
    }
    assert written == expected
    assert {one["seed"] for one in lines} == {"1"}


def test_the_table_may_go_into_a_pipe(kept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, pipe = kept[0], tmp_path / "pipe"
    os.mkfifo(pipe)
    words = ("--seed", 1, "--keep", folder, "--csv", pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        try:
            answer("compare", *TASKS, *SMALL, *FEW, *words)
            assert pipe.is_fifo()
            assert reader.communicate(timeout=10)[0] == (folder.parent / "r.csv").read_bytes()
        finally:
            reader.kill()


def test_what_was_kept_is_not_learned_again(
    kept: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, document = kept

    def refuse(*_: object) -> None:
        raise AssertionError("learned again")

    monkeypatch.setattr(Learner, "learn", refuse)
    monkeypatch.setattr("supsup_cli.workflows.compare.ours.learn_task", refuse)
    again = answer("compare", *TASKS, *SMALL, *FEW, "--seed", 1, "--keep", folder)
    assert again["methods"] == document["methods"]


def test_a_stopped_comparison_goes_on_after_its_last_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", *TASKS, *SMALL, "--methods", "batche,psp-binary")
    whole = answer(*words)
    learn, calls = Learner.learn, []

    def stopping(self: Learner, task: Any, *rest: Any) -> None:
        calls.append(task.name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        learn(self, task, *rest)

    monkeypatch.setattr(Learner, "learn", stopping)
    folder = tmp_path / "kept"
    stopped = run(*words, "--keep", folder, "--json")
    assert stopped.code == 130
    assert stopped.error["message"] == "interrupted; 1 of 2 runs are done"
    assert "goes on" in stopped.error["hint"]
    left = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    assert left == [
        "comparison.json",
        *(f"seed-0/batche/task-000{place}.safetensors" for place in range(3)),
        "seed-0/psp-binary/task-0000.safetensors",
    ]
    resumed = answer(*words, "--keep", folder)
    assert calls[5:] == ["mnist-perm-1", "mnist-perm-2"]
    assert [one["matrix"] for one in resumed["methods"]] == [
        one["matrix"] for one in whole["methods"]
    ]


def test_a_folder_of_another_comparison_or_of_something_else_is_refused(
    kept: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = kept
    other = run("compare", *TASKS, *SMALL, *FEW, "--seed", 2, "--keep", folder)
    assert other.code == 11
    assert "seed 1, asked for 2" in other.err
    (tmp_path / "letter.txt").write_text("keep me")
    strange = run("compare", *TASKS, *SMALL, "--keep", tmp_path)
    assert strange.code == 2
    assert "not empty and no comparison" in strange.err
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    words = ("compare", *TASKS, *SMALL, "--methods", "linear-heads", "--keep", tmp_path / "kept")
    answer(*words)
    file = tmp_path / "kept" / "seed-0" / "linear-heads" / "task-0001.safetensors"
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)
    ran = run(*words)
    assert ran.code == 5
    assert "task-0001.safetensors" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--methods", "batch"), "did you mean batche?"),
        (("--methods", "supsup,PSP"), "did you mean psp?"),
        (("--data", "mnist-prem-0"), "did you mean mnist-perm-N?"),
        (("--rates", "best"), "expected grid or fixed"),
        (("--recipe", "defalt"), "expected default, paper"),
        (("--data", "mnist-perm-0"), "given twice"),
        (("--outputs", "5"), "expected at least 10"),
        (("--arch", "lenet"), "unknown architecture"),
    ],
)
def test_what_cannot_be_compared_is_told_at_once(words: tuple[str, ...], told: str) -> None:
    ran = run("compare", *TASKS, *SMALL, *words)
    assert ran.code == 2
    assert told in ran.err


def test_no_data_is_told() -> None:
    assert "expected at least one" in run("compare", *SMALL).err


def test_seeds_have_a_mean_and_a_spread(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("--methods", "heads-random", "--seeds", 3, "--plot", tmp_path / "p.png")
    (row,) = answer("compare", *TASKS, *SMALL, *words)["methods"]
    each = [one["accuracy"] for one in row["seeds"]]
    mean = sum(each) / 3
    assert len(set(each)) > 1
    assert row["accuracy"] == pytest.approx(mean)
    assert row["spread"] == pytest.approx((sum((one - mean) ** 2 for one in each) / 2) ** 0.5)
    assert (tmp_path / "p.png").read_bytes()[1:4] == b"PNG"


def test_folders_of_other_classes_share_no_labels_and_one_head_has_room_for_all(
    tmp_path: Path,
) -> None:
    make_class_folder(tmp_path / "a", {"x": 0, "y": 10}, each=30)
    make_class_folder(tmp_path / "b", {"u": 0, "v": 8, "w": 16}, each=30)
    words = ("--data", tmp_path / "a", "--data", tmp_path / "b")
    document = answer("compare", *words, *SMALL, "--methods", "supsup,batche,upper-bound")
    rows = _rows(document)
    assert set(rows) == {
        ("supsup", "GNu"),
        ("supsup", "GG"),
        ("batche", "GG"),
        ("upper-bound", "GG"),
    }
    assert rows["upper-bound", "GG"]["accuracy"] > 0.8
    # One network of 3 outputs; the upper bound has one of 2 and one of 3.
    shared, hidden = 784 * 16 + 16 * 16 + 16 * 3, 784 + 16 + 16 + 16 + 16 + 3
    assert rows["batche", "GG"]["bytes"] == 4 * (shared + 2 * hidden)
    assert rows["upper-bound", "GG"]["bytes"] == 4 * (2 * shared - 16)


def test_every_method_says_where_it_and_its_rates_come_from() -> None:
    document = answer("compare", "--data", "mnist-split-0..1", *SMALL[:-4], "--limit", 50)
    rows = _rows(document)
    assert {name for name, _ in rows} == {"supsup", *RIVALS}
    assert document["grid"] == [0.3, 1, 3, 10, 30]
    for (name, _), row in rows.items():
        rates = row["rates"]
        assert row["source"]
        assert row["meaning"]
        trials = rates["trials"]
        two = name in RIVALS and RIVALS[name].two_rates
        assert len(trials) == (10 if two else 5)
        first, later, best = max(trials[-5:], key=lambda one: one[2])
        assert all(score <= best for *_, score in trials[-5:])
        assert rates["first"] == pytest.approx(first * rates["paper_first"])
        assert rates["later"] == pytest.approx(later * rates["paper_later"])
    assert rows["batche", "GG"]["rates"]["paper_later"] == 1e-2
