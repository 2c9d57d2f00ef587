"""Measure a recipe: accuracy with the task given, and how well tasks are named from one image.

    python tests/benchmarks/learning/recipes.py --recipe default --tasks 10 --images 2000
    python tests/benchmarks/learning/recipes.py \\
        --arch fc-1024-1024 --tasks 5 --images 200 --set last_rate=1

`--set FIELD=NUMBER` changes one field of the recipe: this is how its numbers were chosen. Images
are drawn from the test set, the same number for each task; every image is decided by itself.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from supsup_cli.core.learning.recipes import RECIPES
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.inference.evaluate import EvaluateRequest, evaluate
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent

METHODS = (
    ("exhaustive", "R"),
    ("exhaustive", "H"),
    ("binary", "H"),
    ("one-shot", "H"),
    ("one-shot", "G"),
    ("one-shot", "R"),
)


def main() -> None:
    """Learn the tasks into a temporary bank and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="lenet-300-100")
    parser.add_argument("--outputs", type=int, default=500)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--data", default="mnist-perm-0..{last}")
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument(
        "--images", type=int, default=2000, help="single images, all tasks together"
    )
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=NUMBER")
    options = parser.parse_args()
    changes = {name: float(value) for name, value in (one.split("=") for one in options.set)}
    if "steps" in changes:
        changes["steps"] = int(changes["steps"])
    RECIPES[options.recipe] = dataclasses.replace(RECIPES[options.recipe], **changes)
    with TemporaryDirectory() as folder:
        bank = Path(folder) / "bank"
        init_base(
            bank,
            BaseRequest(options.arch, (1, 28, 28), options.outputs, 10, 0, "signed-constant"),
        )
        data = options.data.format(last=options.tasks - 1)
        began = time.perf_counter()
        learned = learn_task(
            bank, LearnRequest([data], None, options.recipe, None, None, 0, "auto"), Silent()
        )
        seconds = (time.perf_counter() - began) / len(learned.tasks)
        accuracies = [one.accuracy or 0.0 for one in learned.tasks]
        told = [f"{method} {by} {_share(bank, method, by, options)}" for method, by in METHODS]
    print(
        f"{options.arch} {options.recipe} {' '.join(options.set)}: "
        f"accuracy {100 * sum(accuracies) / len(accuracies):.2f} %, {seconds:.1f} s a task; "
        f"task named right: {', '.join(told)}"
    )


def _share(bank: Path, method: str, objective: str, options: argparse.Namespace) -> str:
    decision = DecisionRequest(method, objective, "image", "auto")
    limit = options.images // options.tasks
    result = evaluate(bank, decision, EvaluateRequest(limit=limit), Silent())
    return f"{100 * result.mean.task_accuracy:.2f} %"


if __name__ == "__main__":
    main()
