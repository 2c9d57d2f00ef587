"""Decisions by signatures: a short list of masks to try, or the frozen network alone."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bank_format.bank import Bank
from bank_format.index.survey import survey
from bank_format.index.writing import update_index
from bank_format.kinds.task_records import TaskFacts
from bank_format.store.signatures import signature_path
from supsup_cli.data import catalog
from supsup_cli.workflows.inference import signature_decisions
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.masks_run import MaskRun, run_pairs
from supsup_cli.workflows.inference.rules import DecisionRequest, Rule, choose_rule
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Silent
from tests.support.banks import index_files
from tests.support.commands import answer, flip_bit, learn, run

ALIKE = "mnist-split-0..4"


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five tasks of two digits each, on a network large enough to tell them apart."""
    path = tmp_path_factory.mktemp("alike") / "bank"
    answer("init-base", "--bank", path, "--arch", "mlp-100-50", "--outputs", 100)
    learn(path, ALIKE, steps=60)
    return path


@pytest.fixture
def mixed(alike: Path, tmp_path: Path) -> Path:
    """The same tasks, and two permutations without a signature."""
    path = Path(shutil.copytree(alike, tmp_path / "mixed"))
    learn(path, "mnist-perm-0..1", steps=60, more=("--no-signature",))
    return path


def _opened(bank: Path, method: str = "auto") -> tuple[OpenTasks, Rule]:
    opened = open_tasks(bank, "cpu")
    return opened, choose_rule(opened, DecisionRequest(method, None, "image", "cpu"), Silent())


def _digits(count: int) -> NDArray[np.uint8]:
    test = catalog.load_test("mnist-split-2", (1, 28, 28)).test
    return np.asarray(test.images[:count])


def test_tasks_that_look_alike_are_told_apart_better_than_by_every_mask(alike: Path) -> None:
    found = {
        method: answer("evaluate", "--bank", alike, "--limit", 60, "--method", method)["mean"]
        for method in ("auto", "signature", "exhaustive")
    }
    right = {method: mean["task_accuracy"] for method, mean in found.items()}
    assert min(right["auto"], right["signature"]) > 0.85
    assert right["exhaustive"] < 0.75
    assert found["auto"]["short_list_recall"] >= 0.99
    assert 1 <= found["auto"]["masks_tried"] < 5 == found["exhaustive"]["masks_tried"]
    assert found["auto"]["false_alarms"] < 0.05


def test_the_frozen_network_alone_tries_no_mask(alike: Path) -> None:
    asked = ("--bank", alike, "--data", "mnist-split-2", "--limit", 40, "--method", "signature")
    document = answer("infer-task", *asked, "--top", 5)
    assert document["method"] == "signature"
    for one in document["results"]:
        assert one["masks_tried"] == 0
        probabilities = np.exp([score for _, score in one["scores"]])
        assert len(probabilities) == 5
        assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert Counter(one["task"] for one in document["results"]).most_common(1)[0][0] == (
        "mnist-split-2"
    )
    labels = {one["label"] for one in answer("predict", *asked)["results"]}
    assert {"4", "5"} <= labels
    assert run("infer-task", *asked, "--objective", "R", "--json").code == 2


@pytest.mark.parametrize("method", ["auto", "signature"])
def test_scores_are_logarithms_of_probabilities_and_an_image_s_own(
    method: str, alike: Path
) -> None:
    opened, rule = _opened(alike, method)
    images = _digits(60)
    together = decide(opened, rule, images, [[place] for place in range(60)])
    sums = np.nansum(np.exp(together.scores.astype(float)), axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-4)
    for place in (0, 31, 59):
        alone = decide(opened, rule, images[place : place + 1], [[0]])
        assert alone.best[0] == together.best[place]
        assert alone.known[0] == together.known[place]
        assert alone.labels[0] == together.labels[place]
        assert alone.tried[0] == together.tried[place]
        np.testing.assert_allclose(alone.scores[0], together.scores[place], atol=1e-3)


def test_images_that_share_a_decision_count_together(alike: Path) -> None:
    opened, rule = _opened(alike)
    images = _digits(60)
    groups = [list(range(start, start + 6)) for start in range(0, 60, 6)]
    assert decide(opened, rule, images, groups).best.tolist() == [2] * 10
    uneven = [[0, 1, 2], [3], [4, 5, 6, 7]]
    found = decide(opened, rule, images[:8], uneven)
    for place, members in enumerate(uneven):
        alone = decide(opened, rule, images[members], [list(range(len(members)))])
        np.testing.assert_allclose(alone.scores[0], found.scores[place], atol=1e-3)


@pytest.mark.parametrize("count", [40, 1])
def test_every_mask_on_a_list_runs_once_the_winner_s_included(
    count: int, alike: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, rule = _opened(alike)
    ran: Counter[int] = Counter()

    def counted(
        tasks: OpenTasks, images: NDArray[np.uint8], wanted: NDArray[np.int64], *more: Any
    ) -> MaskRun:
        ran.update(wanted.tolist())
        return run_pairs(tasks, images, wanted, *more)

    monkeypatch.setattr(signature_decisions, "run_pairs", counted)
    found = decide(opened, rule, _digits(count), [[place] for place in range(count)])
    tried = np.flatnonzero(np.isfinite(found.scores).any(0))
    assert ran == Counter(tried.tolist())
    assert set(found.best.tolist()) <= set(ran)


def test_a_cap_says_that_it_binds(alike: Path) -> None:
    opened, rule = _opened(alike)
    images, groups = _digits(40), [[place] for place in range(40)]
    whole = decide(opened, rule, images, groups)
    cut = decide(opened, replace(rule, most_tried=2), images, groups)
    assert not whole.truncated.any()
    np.testing.assert_array_equal(cut.truncated, whole.tried > 2)
    np.testing.assert_array_equal(cut.tried, np.minimum(whole.tried, 2))
    assert cut.truncated.any()


def test_tasks_without_a_signature_are_always_tried_and_counted_in_a_note(
    mixed: Path, tmp_path: Path
) -> None:
    asked = ("--bank", mixed, "--data", "mnist-split-2", "--limit", 20, "--seed", 1)
    ran = run("infer-task", *asked, "--top", 7)
    note = "2 of 7 tasks have no signature, and are always tried: supsup tasks sign --bank"
    assert note in ran.err
    for one in answer("infer-task", *asked, "--top", 7)["results"]:
        assert {"mnist-perm-0", "mnist-perm-1"} <= {task for task, _ in one["scores"]}
        assert one["masks_tried"] >= 3
    # In whole groups, the score of such a task counts for each of their images.
    groups = answer("infer-task", *asked, "--group", 5)["results"]
    assert [one["task"] for one in groups].count("mnist-split-2") >= 3
    permuted = ("--data", "mnist-perm-1", "--limit", 40, "--group", 8)
    found = Counter(
        one["task"] for one in answer("infer-task", "--bank", mixed, *permuted)["results"]
    )
    assert found["mnist-perm-1"] >= 4
    opened, rule = _opened(mixed)
    cut = decide(opened, replace(rule, most_tried=1), _digits(5), [[one] for one in range(5)])
    assert cut.tried.tolist() == [3] * 5  # they do not keep any other off the list


def test_where_no_task_has_one_every_mask_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    answer("init-base", "--bank", path, "--arch", "mlp-16", "--outputs", 100)
    learn(path, "mnist-split-0..1", steps=10, more=("--no-signature",))
    asked = ("--bank", path, "--data", "mnist-split-0", "--limit", 5)
    assert answer("infer-task", *asked)["method"] == "exhaustive"
    ran = run("infer-task", *asked, "--method", "signature", "--json")
    assert ran.code == 2
    assert "no signature found among 2 tasks" in ran.error["message"]
    assert "supsup tasks sign" in ran.error["hint"]


def _again(bank: Bank, name: str, arrays: dict[str, Any], **changes: object) -> None:
    task = bank.read_task(name)
    stated = {one.name: getattr(task.content, one.name) for one in fields(TaskFacts)}
    bank.task_path(name).unlink()
    bank.add_task(
        TaskFacts(**(stated | changes)), task.masks, task.statistics, task.provenance, arrays
    )


def _noise(folder: Path) -> Path:
    folder.mkdir()
    random = np.random.RandomState(0)
    for place in range(6):
        pixels = random.randint(0, 256, (28, 28)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    return folder


def _known(bank: Path, images: Path, how: Sequence[object] = ()) -> list[bool]:
    return [one["known"] for one in answer("predict", "--bank", bank, images, *how)["results"]]


def test_noise_is_new_unless_no_task_has_been_calibrated(alike: Path, tmp_path: Path) -> None:
    noise = _noise(tmp_path / "noise")
    for how in ((), ("--method", "signature")):
        assert _known(alike, noise, how) == [False] * 6
    path = Path(shutil.copytree(alike, tmp_path / "bank"))
    bank = Bank.open(path)
    for name in bank.tasks():
        arrays = dict(bank.read_task(name).arrays)
        arrays["signature/quantiles"] = np.empty(0, np.float32)
        _again(bank, name, arrays, calibration=None)
    for how in ((), ("--method", "signature")):
        assert _known(path, noise, how) == [True] * 6
    # Without calibration a fixed prior is used, and the answers hardly change.
    asked = ("--data", "mnist-split-2", "--limit", 60)
    tasks = [
        [one["task"] for one in answer("infer-task", "--bank", where, *asked)["results"]]
        for where in (alike, path)
    ]
    assert sum(a == b for a, b in zip(*tasks, strict=True)) >= 50


def test_far_features_alone_make_an_image_new(alike: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(alike, tmp_path / "bank"))
    bank = Bank.open(path)
    for name in bank.tasks():
        task = bank.read_task(name)
        assert task.content.calibration is not None
        wide = replace(task.content.calibration, values=(1e6,) * 17)
        _again(bank, name, dict(task.arrays), calibration=wide)
    assert _known(path, _noise(tmp_path / "noise")) == [False] * 6


@pytest.mark.parametrize("indexed", [True, False])
def test_a_damaged_signature_gives_no_wrong_answer(mixed: Path, indexed: bool) -> None:
    answer("tasks", "sign", "mnist-perm-0", "mnist-perm-1", "--bank", mixed)
    asked = ("--bank", mixed, "--limit", 20, "--data")
    whole = [answer("predict", *asked, name) for name in ("mnist-perm-1", "mnist-split-2")]
    flip_bit(signature_path(mixed, "mnist-perm-0"), -5000)  # among the means
    for path in () if indexed else index_files(mixed):
        path.unlink()
    for before in whole:  # not a candidate
        after = answer("predict", *asked, before["results"][0]["source"].partition("[")[0])
        told = [
            [(one["task"], one["label"]) for one in both["results"]] for both in (before, after)
        ]
        assert told[0] == told[1]
        assert after["left_out"] == []
    ran = run("predict", *asked, "mnist-perm-0", "--json")
    assert ran.code == 5
    (left,) = ran.json["left_out"]
    assert (left["task"], left["exit"]) == ("mnist-perm-0", 5)
    assert "signatures/mnist-perm-0.safetensors" in left["message"]
    assert "index" not in ran.err
    assert "mnist-perm-0" not in {one["task"] for one in ran.json["results"]}
    given = answer("predict", *asked, "mnist-perm-0", "--task", "mnist-perm-0")
    assert len(given["results"]) == 20
    assert len(answer("tasks", "--bank", mixed)["tasks"]) == 7
    assert run("verify", "--bank", mixed).code == 5


def test_a_damaged_signature_gets_no_row(mixed: Path) -> None:
    answer("tasks", "sign", "mnist-perm-0", "mnist-perm-1", "--bank", mixed)
    for path in index_files(mixed):
        path.unlink()
    flip_bit(signature_path(mixed, "mnist-perm-0"), -5000)
    bank = Bank.open(mixed)
    update_index(bank)
    assert survey(bank).rest == ["mnist-perm-0"]
    before = {path.name: path.stat().st_mtime_ns for path in index_files(mixed)}
    assert update_index(bank) == 0
    assert {path.name: path.stat().st_mtime_ns for path in index_files(mixed)} == before
