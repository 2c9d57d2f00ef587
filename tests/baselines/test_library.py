"""The library's methods, and our measures next to its own. Needs the extra `avalanche`.

pip install 'supsup[avalanche]' && pytest tests/baselines/test_library.py
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from supsup_cli.baselines.library import LibraryLearner, OneNetwork
from supsup_cli.baselines.library_methods import INSTALL, LIBRARY, installed
from supsup_cli.baselines.metrics import measures
from tests.support.commands import answer, run
from tests.support.rivals import PIXELS, make_base, make_task

needs_library = pytest.mark.skipif(not installed(), reason=f"needs {INSTALL}")

TASKS = ("--data", "mnist-perm-0..1")
SMALL = ("--arch", "mlp-16", "--outputs", 100, "--steps", 40, "--limit", 60, "--rates", "fixed")


@pytest.mark.skipif(installed(), reason="the library is there")
def test_without_the_library_its_methods_are_listed_with_the_command() -> None:
    document = answer("compare", *TASKS, *SMALL, "--methods", "linear-heads")
    missing = document["not_installed"]
    assert [one["method"] for one in missing] == list(LIBRARY)
    assert {one["hint"] for one in missing} == {INSTALL}
    ran = run("compare", *TASKS, *SMALL, "--methods", "ewc")
    assert ran.code == 2
    assert "ewc: its library is not installed" in ran.err
    assert INSTALL in ran.err


@needs_library
@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize(("arch", "side"), [("mlp-24", 8), ("conv-4", 16)])
def test_every_method_takes_the_steps_it_is_given_and_learns(
    name: str, arch: str, side: int
) -> None:
    method = LIBRARY[name]
    learner = LibraryLearner(
        method, make_base(arch, side), PIXELS, 3, rate=0.01, steps=30, batch_size=32
    )
    tasks = [make_task(number, side) for number in range(2)]
    steps: list[int] = []
    if method.at_once:
        learner.learn([task for task, *_ in tasks], steps.append)
    else:
        for task, *_ in tasks:
            learner.learn([task], steps.append)
    assert sum(steps) == 60
    _, images, labels = tasks[1]
    assert float((learner.logits(images).argmax(1) == labels).float().mean()) > 0.5
    network = 4 * sum(one.numel() for one in make_base(arch, side).network(3).parameters())
    assert learner.bytes >= network


@needs_library
def test_synaptic_intelligence_finds_weights_that_matter_and_holds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from avalanche.training.plugins import SynapticIntelligencePlugin

    from supsup_cli.baselines import library_plugins

    strategies: list[Any] = []
    mend = library_plugins.mend

    def watched(strategy: Any) -> None:
        strategies.append(strategy)
        mend(strategy)

    monkeypatch.setattr(library_plugins, "mend", watched)
    si, naive = (
        LibraryLearner(LIBRARY[name], make_base(), PIXELS, 3, rate=0.01, steps=30, batch_size=32)
        for name in ("si", "naive")
    )
    tasks = [make_task(number) for number in range(2)]
    images = tasks[0][1]
    for task, *_ in tasks:
        # Nothing is held before the second task.
        assert torch.equal(si.logits(images), naive.logits(images))
        si.learn([task], lambda _: None)
        naive.learn([task], lambda _: None)
    assert not torch.equal(si.logits(images), naive.logits(images))
    plugin = next(
        one for one in strategies[0].plugins if isinstance(one, SynapticIntelligencePlugin)
    )
    importances = plugin.ewc_data[1]
    assert importances
    assert all(float(one.data.abs().max()) > 0 for one in importances.values())


@needs_library
@pytest.mark.parametrize("batch_size", [2, 31, 32])
def test_half_of_an_update_of_replay_are_stored_images(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates: list[list[bytes]] = []
    forward = OneNetwork.forward

    def counted(network: OneNetwork, images: torch.Tensor) -> torch.Tensor:
        updates.append([one.numpy().tobytes() for one in images])
        return forward(network, images)

    monkeypatch.setattr(OneNetwork, "forward", counted)
    learner = LibraryLearner(
        LIBRARY["replay"], make_base(), PIXELS, 3, rate=0.01, steps=9, batch_size=batch_size
    )
    first, second = (make_task(number)[0] for number in range(2))
    learner.learn([first], lambda _: None)
    learner.learn([second], lambda _: None)
    assert [len(update) for update in updates] == [batch_size] * 18
    seen = {one.numpy().tobytes() for one in first.train.store}
    stored = [sum(one in seen for one in update) for update in updates]
    assert stored == [batch_size] * 9 + [batch_size // 2] * 9


@needs_library
def test_in_the_table_replay_forgets_less_than_naive_and_joint_is_one_network() -> None:
    words = ("--data", "mnist-split-0..2", *SMALL, "--methods", "naive,replay,joint,cumulative")
    rows = {one["method"]: one for one in answer("compare", *words)["methods"]}
    assert {one["scenario"] for one in rows.values()} == {"GNu"}
    assert rows["naive"]["forgetting"] > rows["replay"]["forgetting"]
    assert (
        min(rows["joint"]["accuracy"], rows["cumulative"]["accuracy"]) > rows["naive"]["accuracy"]
    )
    matrix = rows["joint"]["matrix"]
    assert matrix[0][0] == matrix[1][0] == matrix[2][0]


@needs_library
def test_what_learns_all_tasks_at_once_has_no_forward_transfer() -> None:
    words = ("--data", "mnist-perm-0..2", *SMALL, "--methods", "naive,joint")
    rows = {one["method"]: one for one in answer("compare", *words)["methods"]}
    assert {one["scenario"] for one in rows.values()} == {"GNs"}
    assert rows["naive"]["forward_transfer"] is not None
    assert rows["joint"]["forward_transfer"] is None
    missing = [[share is None for share in line] for line in rows["joint"]["matrix"]]
    assert missing == [[j > i for j in range(3)] for i in range(3)]


@needs_library
def test_our_measures_are_the_librarys_own_on_one_run() -> None:
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils.classification_dataset import (
        _make_taskaware_classification_dataset as labelled_with_tasks,
    )
    from avalanche.evaluation import metrics
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.supervised import Naive

    class Pairs(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
        def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
            self.images, self.targets = PIXELS(images), labels.tolist()

        def __len__(self) -> int:
            return len(self.targets)

        def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
            return self.images[place], self.targets[place]

    tasks = [make_task(number) for number in range(4)]
    parts = [
        [
            labelled_with_tasks(Pairs(task.train.store, task.train.targets), task_labels=0)
            for task, *_ in tasks
        ],
        [labelled_with_tasks(Pairs(images, labels), task_labels=0) for _, images, labels in tasks],
    ]
    benchmark = benchmark_from_datasets(train=parts[0], test=parts[1])
    evaluator = EvaluationPlugin(
        metrics.accuracy_metrics(experience=True, stream=True),
        metrics.forgetting_metrics(stream=True),
        metrics.bwt_metrics(stream=True),
        metrics.forward_transfer_metrics(stream=True),
        loggers=[],
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 3))
    strategy = Naive(
        model=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=0.01),
        train_mb_size=32,
        train_epochs=8,
        evaluator=evaluator,
        eval_every=0,
    )

    def row() -> list[float]:
        strategy.eval(benchmark.test_stream)
        told = evaluator.get_last_metrics()
        names = [f"Top1_Acc_Exp/eval_phase/test_stream/Exp{place:03d}" for place in range(4)]
        return [told[name] for name in names]

    chances, rows = row(), []
    for experience in benchmark.train_stream:
        strategy.train(experience, eval_streams=[benchmark.test_stream])
        rows.append(row())
    told = evaluator.get_last_metrics()
    ours = measures(np.array(rows), np.array(chances))
    stream = "eval_phase/test_stream"
    assert ours.forgetting_since_learned is not None
    assert ours.forgetting_since_learned > 0.02
    assert ours.accuracy == pytest.approx(told[f"Top1_Acc_Stream/{stream}"])
    assert ours.forgetting_since_learned == pytest.approx(told[f"StreamForgetting/{stream}"])
    assert ours.backward_transfer == pytest.approx(told[f"StreamBWT/{stream}"])
    assert ours.forward_transfer == pytest.approx(told[f"StreamForwardTransfer/{stream}"])
