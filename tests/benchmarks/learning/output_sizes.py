"""Measure how the number of outputs affects whether tasks can be told apart; run by name.

    python tests/benchmarks/learning/output_sizes.py --tasks 20 --plot output_sizes.png

PermutedMNIST, LeNet 300-100, 1000 steps of 128; single test images, drawn from the test set, the
same number for each task (Wortsman et al. 2020, Fig. 6, has 25, 100 and 200 outputs).
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.inference.evaluate import EvaluateRequest, evaluate
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent

OUTPUTS = (25, 50, 100, 200, 500)
METHODS = (("one-shot", "H"), ("one-shot", "G"), ("one-shot", "R"), ("auto", None))


def main() -> None:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--limit", type=int, default=100, help="images of each task")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    heads = [f"{method} {objective or ''}".strip() for method, objective in METHODS]
    print(f"| outputs | accuracy given | {' | '.join(heads)} |\n|{'---|' * (2 + len(heads))}")
    rows = []
    with TemporaryDirectory() as folder:
        for outputs in OUTPUTS:
            given, shares = _measure(Path(folder) / str(outputs), outputs, options)
            rows.append(shares)
            cells = " | ".join(f"{100 * share:.2f} %" for share in shares)
            print(f"| {outputs} | {100 * given:.2f} % | {cells} |", flush=True)
    if options.plot:
        _draw(heads, rows, options.plot)


def _measure(bank: Path, outputs: int, options: argparse.Namespace) -> tuple[float, list[float]]:
    init_base(bank, BaseRequest("lenet-300-100", (1, 28, 28), outputs, 10, 0, "signed-constant"))
    data = [f"mnist-perm-0..{options.tasks - 1}"]
    request = LearnRequest(data, None, options.recipe, options.steps, None, 0, "auto")
    learned = learn_task(bank, request, Silent()).tasks
    shares = [
        evaluate(
            bank,
            DecisionRequest(method, objective, "image", "auto"),
            EvaluateRequest(limit=options.limit),
            Silent(),
        ).mean.task_accuracy
        for method, objective in METHODS
    ]
    return sum(one.accuracy or 0.0 for one in learned) / len(learned), shares


def _draw(heads: list[str], rows: list[list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="outputs, 10 of them real", ylabel="task right", xscale="log")
    axes.set_xticks(OUTPUTS, [str(one) for one in OUTPUTS], minor=False)
    for name, shares in zip(heads, zip(*rows, strict=True), strict=True):
        axes.plot(OUTPUTS, shares, "o-", label=name)
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
