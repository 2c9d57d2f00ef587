"""A bank inside Avalanche: its benchmark, its metrics, our strategy beside two of its own.

    pip install 'supsup[avalanche]'
    python examples/avalanche_digits.py [STEPS]

Five experiences of two digits. Nobody tells which experience a test image is of.
"""

import sys
import tempfile
from typing import Any

import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.evaluation.metrics import accuracy_metrics, forgetting_metrics
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive, Replay
from torch import Tensor, nn
from torch.utils.data import Dataset

from supsup_cli.avalanche import SupSup
from supsup_cli.data.embedded import load_mnist

BATCH = 128


class Digits(Dataset[tuple[Tensor, int]]):
    """MNIST with pixels from 0 to 1, not normalised: the bank does that itself."""

    def __init__(self, train: bool) -> None:
        images, labels = load_mnist(train)
        self.images, self.targets = torch.tensor(images), labels.tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.images[place] / 255, self.targets[place]


def metrics() -> EvaluationPlugin:
    """Measure the library's accuracy and forgetting over all experiences."""
    return EvaluationPlugin(accuracy_metrics(stream=True), forgetting_metrics(stream=True))


def rival(strategy: Any, **options: Any) -> Any:
    """Begin one of the library's own, on a network of the size that our masks choose from."""
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
        nn.Linear(100, 10),
    )  # fmt: skip
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    return strategy(
        model=network,
        optimizer=adam,
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=BATCH,
        eval_mb_size=BATCH,
        evaluator=metrics(),
        **options,
    )


def main() -> None:
    """Train and measure each strategy on the same stream."""
    torch.manual_seed(0)
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    digits = nc_benchmark(
        Digits(True), Digits(False), 5, task_labels=False, fixed_class_order=list(range(10))
    )
    with tempfile.TemporaryDirectory() as folder:
        strategies = {
            "SupSup": SupSup(
                bank=f"{folder}/bank", recipe="separable", steps=steps, evaluator=metrics()
            ),
            "Naive": rival(Naive),
            "Replay": rival(Replay, mem_size=2000),
        }
        for name, strategy in strategies.items():
            for experience in digits.train_stream:
                strategy.train(experience)
                # forgetting compares with how well an experience was known when it was learned
                told = strategy.eval(digits.test_stream)
            told = {key.split("/")[0]: value for key, value in told.items()}
            accuracy, forgetting = told["Top1_Acc_Stream"], told["StreamForgetting"]
            print(f"{name}: accuracy {accuracy:.4f}, forgetting {forgetting:.4f}")


if __name__ == "__main__":
    main()
