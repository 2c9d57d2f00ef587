"""Measure accuracy against steps with and without transfer, on a task like earlier ones.

    python tests/benchmarks/learning/transfer.py --plot transfer.png

RotatedMNIST, LeNet 300-100 with 500 outputs: a bank learns some rotations, then one more, from a
fresh start and from the earlier masks (`--transfer`). The same is done for a permuted task, which
resembles no earlier one. Then it measures what transfer costs: how often single images are assigned
to their own task, in a bank learned without it and in one learned with it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.inference.evaluate import EvaluateRequest, evaluate
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent

STEPS = (25, 50, 100, 200, 400, 1000)


def main() -> None:
    """Print the tables, and draw the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--earlier", default="mnist-rot-0..70:10")
    parser.add_argument("--tasks", nargs="+", default=["mnist-rot-80", "mnist-perm-0"])
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--images", type=int, default=200, help="of each task, for the second")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    curves: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        banks = {name: Path(folder) / name for name in ("fresh", "transfer")}
        for name, bank in banks.items():
            init_base(
                bank, BaseRequest("lenet-300-100", (1, 28, 28), 500, 10, 0, "signed-constant")
            )
            _learn(bank, options.earlier, 1000, transfer=name == "transfer")
        print("steps".ljust(32) + "".join(f"{steps:>9}" for steps in options.steps))
        for task in options.tasks:
            for name in banks:
                row = [_again(banks["fresh"], task, n, name == "transfer") for n in options.steps]
                curves[f"{task}, {name}"] = row
                print(
                    f"{task}, {name}".ljust(32) + "".join(f"{100 * a:8.2f}%" for a in row),
                    flush=True,
                )
        for name, bank in banks.items():
            decision = DecisionRequest("auto", None, "image", "cpu")
            request = EvaluateRequest(limit=options.images, group_sizes="128")
            result = evaluate(bank, decision, request, Silent())
            one, many = result.mean, result.by_group[0]
            print(
                f"bank {name}: given {one.accuracy_given:.2%}; one image: task right "
                f"{one.task_accuracy:.2%}, class right {one.accuracy_inferred_shared:.2%}; "
                f"128 images: task right {many.task_accuracy:.2%}, "
                f"class right {many.accuracy_inferred_shared:.2%}",
                flush=True,
            )
    if options.plot:
        _draw(curves, options.steps, options.plot)


def _learn(bank: Path, data: str, steps: int, *, transfer: bool) -> float:
    request = LearnRequest([data], None, "default", steps, None, 0, "cpu", transfer=transfer)
    return learn_task(bank, request, Silent()).tasks[-1].accuracy or 0.0


def _again(bank: Path, task: str, steps: int, transfer: bool) -> float:
    """Learn one more task into a copy of the bank, and return its test accuracy."""
    with TemporaryDirectory() as folder:
        copy = Path(copytree(bank, Path(folder) / "bank"))
        return _learn(copy, task, steps, transfer=transfer)


def _draw(curves: dict[str, list[float]], steps: Sequence[int], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="steps of 128 images", ylabel="test accuracy", xscale="log")
    for name, row in curves.items():
        axes.plot(steps, row, "o-", label=name)
    axes.set_xticks(steps, [str(one) for one in steps])
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
