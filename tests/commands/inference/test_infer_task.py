"""Which task is this? Single images, groups, methods and objectives on a small bank."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import answer, learn, make_bank, run

TASKS = {"perm-0": "mnist-perm-0", "split-3": "mnist-split-3"}


def _infer(bank: Path, *words: object) -> dict[str, Any]:
    return answer("infer-task", "--bank", bank, *words)


def _right(results: list[dict[str, Any]]) -> float:
    """Return the share of decisions that name the task of the source's folder."""
    right = [
        one["task"] == task
        for one in results
        for folder, task in TASKS.items()
        if f"/{folder}" in one["source"]
    ]
    assert len(right) == len(results)
    return sum(right) / len(right)


def test_each_image_of_a_mixed_folder_gets_its_own_answer(bank: Path, images: Path) -> None:
    document = _infer(bank, images)
    assert [document[key] for key in ("method", "objective", "group")] == [
        "auto",
        "R",
        "image",
    ]
    results = document["results"]
    assert len({one["source"] for one in results}) == len(results) == 60
    assert {one["images"] for one in results} == {1}
    assert sum(one["known"] for one in results) >= 54
    assert {one["truncated"] for one in results} == {False}
    assert {one["masks_tried"] for one in results} <= {1, 2, 3, 4}
    assert _right(results) >= 0.9


def test_the_answer_does_not_depend_on_the_rest_of_the_batch(bank: Path, images: Path) -> None:
    words = ("--method", "one-shot", "--objective", "H")
    for how in ((), words):
        together = _infer(bank, images, *how)["results"]
        for one in together[::12]:
            alone = _infer(bank, one["source"], *how)["results"][0]
            assert alone["task"] == one["task"]
            assert [task for task, _ in alone["scores"]] == [task for task, _ in one["scores"]]
            assert [score for _, score in alone["scores"]] == pytest.approx(
                [score for _, score in one["scores"]], rel=1e-4, abs=1e-5
            )


def test_scores_are_the_best_tasks_first(bank: Path, images: Path) -> None:
    for top, expected in ((1, 1), (3, 3), (9, 4)):
        words = ("--method", "exhaustive", "--top", top)
        for one in _infer(bank, images / "perm-0", *words)["results"]:
            scores = [score for _, score in one["scores"]]
            assert len(scores) == expected
            assert scores == sorted(scores, reverse=True)
            assert one["scores"][0][0] == one["task"]


@pytest.mark.parametrize("objective", ["H", "G", "R"])
@pytest.mark.parametrize("method", ["one-shot", "binary", "exhaustive"])
def test_every_method_takes_every_objective(
    method: str, objective: str, bank: Path, images: Path
) -> None:
    words = ("--method", method, "--objective", objective, "--group", "folder")
    document = _infer(bank, images / "split-3", *words, "--top", 4)
    assert (document["method"], document["objective"]) == (method, objective)
    if objective != "G":  # which is best only on networks of a useful size
        assert {one["task"] for one in document["results"]} == {"mnist-split-3"}
    compared = 2 if method == "binary" else 4
    assert {len(one["scores"]) for one in document["results"]} == {compared}


@pytest.mark.parametrize(("method", "objective"), [("one-shot", "H"), ("binary", "H")])
def test_the_methods_own_objective(method: str, objective: str, bank: Path, images: Path) -> None:
    assert _infer(bank, images / "perm-0", "--method", method)["objective"] == objective
    assert _infer(bank, images / "perm-0", "--objective", "G")["method"] == "exhaustive"


def test_groups_share_a_decision(bank: Path, images: Path) -> None:
    folders = _infer(bank, images, "--group", "folder")["results"]
    per_folder = Counter(str(path.parent) for path in images.rglob("*.png"))
    assert {one["source"]: one["images"] for one in folders} == per_folder
    assert _right(folders) >= 0.9
    whole = _infer(bank, images / "split-3", "--group", "all")
    assert whole["group"] == "all"
    assert [(one["source"], one["images"]) for one in whole["results"]] == [("all", 30)]
    assert whole["results"][0]["task"] == "mnist-split-3"
    parts = _infer(bank, images / "split-3", "--group", 7)["results"]
    assert [one["images"] for one in parts] == [7, 7, 7, 7, 2]
    assert {one["task"] for one in parts} == {"mnist-split-3"}
    assert _infer(bank, images / "split-3", "--group", 1)["group"] == "image"


def test_a_list_on_standard_input(
    bank: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(path) for path in sorted(images.rglob("*.png"))[::10]]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(paths) + "\n"))
    assert [one["source"] for one in _infer(bank, "-")["results"]] == paths
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{paths[0]}\nnonesuch.png\n"))
    ran = run("infer-task", "--bank", bank, "-", "--json")
    assert ran.code == 3
    assert [one["error"] is None for one in ran.json["results"]] == [True, False]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("infer-task", "--bank", bank, "-", "--json").error["code"] == "no-input"


def test_a_pattern_stands_for_its_matches(bank: Path, images: Path) -> None:
    found = _infer(bank, f"{images}/split-3/6/*.png")["results"]
    sixes = sorted(str(path) for path in (images / "split-3" / "6").iterdir())
    assert [one["source"] for one in found] == sixes


def test_data_means_a_seeded_choice_of_the_test_split(bank: Path) -> None:
    words = ("--data", "mnist-perm-0..1", "--data", "mnist-split-3", "--limit", 20)
    results = _infer(bank, *words)["results"]
    per_data = Counter(one["source"].partition("[")[0] for one in results)
    assert per_data == {"mnist-perm-0": 20, "mnist-perm-1": 20, "mnist-split-3": 20}
    right = [one["source"].startswith(f"{one['task']}[") for one in results]
    assert sum(right) >= 54
    again = _infer(bank, *words)["results"]
    assert [one["source"] for one in again] == [one["source"] for one in results]
    other = _infer(bank, *words, "--seed", 1)["results"]
    assert [one["source"] for one in other] != [one["source"] for one in results]


def test_limit_takes_that_many_of_the_files(bank: Path, images: Path) -> None:
    some = [one["source"] for one in _infer(bank, images, "--limit", 7)["results"]]
    assert len(set(some)) == 7
    assert some == [one["source"] for one in _infer(bank, images, "--limit", 7)["results"]]


def test_text_names_the_source_and_the_task(bank: Path, images: Path) -> None:
    ran = run("infer-task", "--bank", bank, images / "split-3" / "6")
    *lines, summary = ran.out.splitlines()
    sixes = sorted((images / "split-3" / "6").iterdir())
    assert [line.split()[0] for line in lines] == [str(path) for path in sixes]
    assert [line.split()[1] for line in lines].count("mnist-split-3") >= 0.9 * len(lines)
    assert summary.startswith(f"{len(lines)} images, auto R, group image, ")


@pytest.mark.parametrize("method", ["auto", "one-shot", "binary", "exhaustive"])
def test_a_bank_with_one_task(method: str, images: Path, tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist-split-3", steps=5)
    results = _infer(bank, images / "perm-0", "--method", method)["results"]
    assert {one["task"] for one in results} == {"mnist-split-3"}
    assert {len(one["scores"]) for one in results} == {1}


def test_without_superfluous_outputs_entropy_decides(images: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    answer("init-base", "--bank", bank, "--arch", "mlp-16-16", "--outputs", 10)
    learn(bank, "mnist-perm-0..1")
    assert _infer(bank, images / "perm-0")["objective"] == "H"
    for objective in ("R", "G"):
        words = ("infer-task", "--bank", bank, images, "--objective", objective)
        error = run(*words, "--json").error
        assert (error["exit"], error["code"]) == (2, "usage")
        assert "no superfluous outputs found among 10" in error["message"]
        assert "--objective H" in error["hint"]


def test_a_bank_without_a_task_says_what_to_type(images: Path, tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    for command in ("infer-task", "predict", "evaluate"):
        words = () if command == "evaluate" else (images,)
        error = run(command, "--bank", bank, *words, "--json").error
        assert (error["exit"], error["code"]) == (2, "no-input")
        assert error["hint"] == f"supsup learn-task --bank {bank} --data mnist-perm-0"
