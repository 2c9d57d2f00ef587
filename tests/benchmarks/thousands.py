"""Name the task of single test images among all tasks of a bank; run by name.

    supsup learn-task --bank BANK --data mnist-perm-0..2499 --recipe fast
    python -m tests.benchmarks.thousands BANK

Each task is asked about other images: the test split in random order is dealt to the tasks, so that
with 2500 tasks every one of the 10,000 images is used once, under one task. (`evaluate --limit 4`
takes the same four images of each.)
"""

import argparse
import time
from pathlib import Path

import numpy as np

from supsup_cli.data import catalog
from supsup_cli.workflows.inference.accuracy import HeldOutTask, images_together, measure
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.opening import open_tasks
from supsup_cli.workflows.reporting import Silent
from tests.benchmarks.timing import machine, row


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--objective")
    parser.add_argument("--images", type=int, default=10_000, help="of all tasks together")
    options = parser.parse_args()
    opened = open_tasks(options.bank, "cpu")
    decision = DecisionRequest(options.method, options.objective, "image", "cpu")
    rule = choose_rule(opened, decision, Silent())
    tests = dealt(opened.names, options.images)
    seconds = 0.0
    measured = []
    per_task = max(1, options.images // len(tests))
    at_once = max(1, images_together(rule, (1, 28, 28)) // per_task)
    for start in range(0, len(tests), at_once):
        part = tests[start : start + at_once]
        began = time.perf_counter()
        measured += measure(opened, rule, part)
        seconds += time.perf_counter() - began
    images = sum(one.task.images for one in measured)
    given = [task.content.accuracy for task in opened.tasks]
    shares = [one.correct / one.images for one in given if one is not None]
    print(f"{machine()}; {len(tests)} tasks\n")
    print(row("method", "images", "task right", "class right, given", "and inferred", "images/s"))
    print(row("---", *["---:"] * 5))
    rights = [
        sum(getattr(one.task, kind) * one.task.images for one in measured) / images
        for kind in ("task_accuracy", "accuracy_given", "accuracy_inferred")
    ]
    told = [f"{right:.2%}" for right in rights]
    print(row(f"{rule.method} {rule.objective}", images, *told, f"{images / seconds:.0f}"))
    print(f"\nwhole test split, task given: mean {np.mean(shares):.2%}, least {min(shares):.2%}")


def dealt(names: list[str], images: int) -> list[HeldOutTask]:
    """Deal a random order of the test images to the tasks."""
    order = np.random.default_rng(0).permutation(10_000)
    tests = []
    for index, name in enumerate(names):
        places = order[np.arange(index, images, len(names)) % len(order)]
        if len(places):
            split = catalog.load_test(name, (1, 28, 28)).test
            tests.append(HeldOutTask(index, split.take(places)))
    return tests


if __name__ == "__main__":
    main()
