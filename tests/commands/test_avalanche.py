"""The strategy for Avalanche's benchmarks. Needs the extra `avalanche`.

pip install 'supsup[avalanche]' && pytest tests/commands/test_avalanche.py
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from supsup_cli.baselines.library_methods import INSTALL, installed
from supsup_cli.data import catalog
from supsup_cli.data.splits import Split, choose
from tests.support.commands import answer, make_bank

if not installed():
    pytest.skip(f"needs {INSTALL}", allow_module_level=True)

SPLITS = ("mnist-split-0", "mnist-split-1", "mnist-split-3")
EXPERIENCE = "Top1_Acc_Exp/eval_phase/test_stream/Exp{:03d}"


class _Digits(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images of digits from 0 to 1, each with its digit."""

    def __init__(self, split: Split, digits: tuple[int, ...]) -> None:
        self.images = torch.from_numpy(split.images.copy()).float() / 255
        self.targets = [digits[label] for label in split.labels]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.images[place], self.targets[place]


def _benchmark(limit: int) -> Any:
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils.classification_dataset import (
        _make_taskaware_classification_dataset as labelled_with_tasks,
    )

    streams: dict[str, list[Any]] = {"train": [], "test": []}
    for name in SPLITS:
        data = catalog.load(name, (1, 28, 28))
        for stream, split in (("train", data.train), ("test", data.test)):
            part = split.take(choose(len(split), limit, 0))
            streams[stream].append(labelled_with_tasks(_Digits(part, data.outputs), task_labels=0))
    return benchmark_from_datasets(**streams)


def _evaluator() -> Any:
    from avalanche.evaluation import metrics
    from avalanche.training.plugins import EvaluationPlugin

    return EvaluationPlugin(
        metrics.accuracy_metrics(experience=True, stream=True),
        metrics.forgetting_metrics(stream=True),
        loggers=[],
    )


@pytest.mark.parametrize("given", [False, True])
def test_a_strategy_and_evaluate_say_the_same_of_one_bank(given: bool, tmp_path: Path) -> None:
    from supsup_cli.avalanche import SupSup

    bank = make_bank(tmp_path / "bank", *SPLITS)
    expected = answer("evaluate", "--bank", bank, "--limit", 80)["tasks"]
    strategy = SupSup(bank=bank, names=SPLITS, task_given=given, evaluator=_evaluator())
    told = strategy.eval(_benchmark(80).test_stream)
    key = "accuracy_given" if given else "accuracy_inferred"
    for place, task in enumerate(expected):
        assert told[EXPERIENCE.format(place)] == pytest.approx(task[key])


def test_experiences_become_tasks_and_none_is_forgotten(tmp_path: Path) -> None:
    from supsup_cli.avalanche import SupSup

    benchmark = _benchmark(300)
    strategy = SupSup(
        bank=tmp_path / "bank",
        arch="mlp-16-16",
        outputs=100,
        steps=60,
        task_given=True,
        evaluator=_evaluator(),
    )
    for experience in benchmark.train_stream:
        strategy.train(experience)
        told = strategy.eval(benchmark.test_stream[: experience.current_experience + 1])
    assert told["StreamForgetting/eval_phase/test_stream"] == 0
    assert told["Top1_Acc_Stream/eval_phase/test_stream"] > 0.8
    tasks = answer("tasks", "--bank", tmp_path / "bank")["tasks"]
    assert [task["task"] for task in tasks] == ["experience-0", "experience-1", "experience-2"]
    again = SupSup(bank=tmp_path / "bank", steps=60, evaluator=None)
    again.train(benchmark.train_stream[0])
    assert answer("tasks", "--bank", tmp_path / "bank")["tasks"] == tasks


def test_normalised_images_are_refused_with_the_reason(tmp_path: Path) -> None:
    from supsup_cli.avalanche import SupSup
    from supsup_cli.errors import UsageError

    benchmark = _benchmark(40)
    for dataset in benchmark.train_stream[0].dataset._datasets:
        dataset.images = (dataset.images - 0.13) / 0.31
    with pytest.raises(UsageError, match="not normalised yet"):
        SupSup(bank=tmp_path / "bank", evaluator=None).train(benchmark.train_stream[0])
