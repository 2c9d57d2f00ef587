"""Convolution nets through the commands: each task's statistics are kept in its file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bank_format.bank import Bank
from bank_format.kinds.task_records import CalibrationRecord, TaskFacts
from supsup_cli.core.inference.novelty import DOUBT
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.workflows.opening import open_tasks
from supsup_cli.workflows.task_values import NORMALISATION, TRAITS
from tests.support.commands import answer, run

CONV = ("--arch", "conv-4", "--input", "1x16x16", "--outputs", 30, "--real-outputs", 3)
STEPS = ("--steps", 4, "--batch-size", 8)


def _folder(path: Path, brightness: int) -> Path:
    """Two classes of noise: one brighter on its upper half, one on its lower."""
    stream = np.random.RandomState(brightness)
    for place, name in enumerate(("upper", "lower")):
        (path / name).mkdir(parents=True)
        for number in range(24):
            pixels = stream.randint(0, 60, (16, 16)) + brightness
            pixels[place * 8 : place * 8 + 8] += 60
            Image.fromarray(pixels.astype(np.uint8)).save(path / name / f"{number}.png")
    return path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with one task, t0."""
    root = tmp_path_factory.mktemp("convolution")
    answer("init-base", "--bank", root / "bank", *CONV)
    data = _folder(root / "t0", 0)
    answer("learn-task", "--bank", root / "bank", "--data", data, *STEPS)
    return root


@pytest.fixture
def root(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "copy"))


def _logits(bank: Path) -> torch.Tensor:
    opened = open_tasks(bank, "cpu", ["t0"])
    inputs = torch.randn(7, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    return masked_forward(opened.net.network, opened.stack.masks(0), inputs)


def test_after_ten_more_tasks_the_first_one_s_logits_are_the_same_bits(root: Path) -> None:
    bank = root / "bank"
    before = _logits(bank)
    more = [_folder(root / f"t{number}", number * 8) for number in range(1, 11)]
    learned = answer(
        "learn-task", "--bank", bank, *(word for one in more for word in ("--data", one)), *STEPS
    )
    assert len(learned["tasks"]) == 10
    assert torch.equal(_logits(bank), before)
    own = [Bank.open(bank).read_task(f"t{number}").statistics for number in (0, 10)]
    assert not np.allclose(own[0][NORMALISATION], own[1][NORMALISATION], atol=0.1)
    assert answer("verify", "--bank", bank)["problems"] == []


def test_a_task_file_says_what_was_done_and_the_same_command_finds_it(root: Path) -> None:
    bank = root / "bank"
    task = Bank.open(bank).read_task("t0")
    assert task.content.recipe.name == "default-convolution"
    assert list(task.statistics) == [NORMALISATION]
    assert task.statistics[NORMALISATION].shape == (2 * (32 + 32 + 64 + 64),)
    assert task.content.calibration is not None
    assert task.content.calibration.objective == DOUBT
    again = answer("learn-task", "--bank", bank, "--data", root / "t0", *STEPS)
    assert again["tasks"][0]["status"] == "exists"
    paper = answer(
        "learn-task", "--bank", bank, "--data", root / "t0", *STEPS, "--recipe", "paper",
        "--name", "sparse",
    )  # fmt: skip
    sparse = Bank.open(bank).read_task("sparse").content
    assert (sparse.recipe.name, sparse.recipe.settings["density"]) == ("paper-convolution", "er:16")
    assert paper["tasks"][0]["density"] < 0.3


@pytest.mark.parametrize("method", ["exhaustive", "one-shot", "binary", "descent"])
def test_an_image_s_scores_do_not_depend_on_the_images_beside_it(root: Path, method: str) -> None:
    bank = root / "bank"
    answer("learn-task", "--bank", bank, "--data", _folder(root / "t1", 60), *STEPS)
    asked = ("infer-task", "--bank", bank, "--method", method, "--top", 2)
    together = answer(*asked, root / "t0" / "upper", root / "t1" / "lower")["results"]
    assert len(together) == 48
    for place in (0, 30):
        alone = answer(*asked, together[place]["source"])["results"][0]
        assert alone["task"] == together[place]["task"]
        for (name, score), (other, beside) in zip(
            alone["scores"], together[place]["scores"], strict=True
        ):
            assert name == other
            # Float32 sums in another order: measured 2e-6 of 5.26.
            assert score == pytest.approx(beside, rel=1e-4, abs=1e-5)


def test_a_combination_of_tasks_that_normalise_has_statistics_of_its_own(root: Path) -> None:
    bank = root / "bank"
    answer("learn-task", "--bank", bank, "--data", _folder(root / "t1", 60), *STEPS)
    data = _folder(root / "t2", 30)
    made = answer("learn-task", "--bank", bank, "--data", data, *STEPS, "--combine", "0.01")
    assert made["tasks"][0]["kind"] == "combination"
    assert Bank.open(bank).read_task("t2").statistics[NORMALISATION].shape == (384,)
    assert len(answer("predict", "--bank", bank, data / "upper")["results"]) == 24


def _again(bank: Bank, name: str, statistics: dict[str, np.ndarray], **other: object) -> None:
    """Add t0 under another name, with other statistics."""
    task = bank.read_task("t0")
    facts = {name: getattr(task.content, name) for name in (
        "task", "classes", "data", "recipe", "seed", "steps", "accuracy", "calibration", "parents",
    )}  # fmt: skip
    facts |= {"task": name, **other}
    bank.add_task(TaskFacts(**facts), dict(task.masks), statistics, task.provenance)


@pytest.mark.parametrize(("kind", "expected"), [(NORMALISATION, "(384,)"), (TRAITS, "(252,)")])
def test_statistics_of_another_network_are_named(root: Path, kind: str, expected: str) -> None:
    bank = Bank.open(root / "bank")
    own = dict(bank.read_task("t0").statistics)
    _again(bank, "odd", own | {kind: np.zeros(5, np.float32)})
    ran = run("predict", "--bank", root / "bank", root / "t0" / "upper", "--json")
    assert ran.code == 12
    (left,) = ran.json["left_out"]
    assert (left["task"], left["exit"]) == ("odd", 12)
    assert expected in left["message"]


def test_tasks_of_older_files_are_judged_by_what_they_tell(root: Path) -> None:
    bank = Bank.open(root / "bank")
    own = dict(bank.read_task("t0").statistics)
    traits = {TRAITS: np.concatenate([np.zeros(21), np.eye(21)[np.tri(21, dtype=bool)]])}
    levels = ((0.0, 0.8, 1.0), (-99.0, -98.0, -97.0))
    for name, more in (("R-damped", {}), ("H-traits", traits)):
        stored = own | {one: values.astype(np.float32) for one, values in more.items()}
        _again(bank, name.lower(), stored, calibration=CalibrationRecord(name, 40, *levels))
    asked = ("--bank", root / "bank", root / "t0" / "upper")
    result = answer("infer-task", *asked, "--top", 3, "--method", "exhaustive")["results"][0]
    scores = dict(result["scores"])
    # The same mask and statistics: traits alone make the difference.
    assert scores["t0"] == pytest.approx(scores["r-damped"], abs=1e-6)
    assert scores["h-traits"] != pytest.approx(scores["t0"], abs=1e-3)
    for name in ("r-damped", "h-traits"):
        named = answer("predict", *asked, "--task", name)["results"]
        assert len(named) == 24
    asked = answer("predict", *asked, "--method", "exhaustive")["results"]
    assert {one["known"] for one in asked if one["task"] != "t0"} <= {False}


def test_streams_refuse_a_network_that_normalises(root: Path) -> None:
    words = ("--bank", root / "bank", "--data", root / "t0", "--name", "stream")
    ran = run("learn-stream", *words, "--json")
    assert ran.code == 2
    assert "conv-4" in ran.error["message"]
    assert "init-base" in ran.error["hint"]
