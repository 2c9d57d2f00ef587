"""Name the task of single test images among all tasks of a bank; run by name.

    supsup learn-task --bank BANK --data mnist-perm-0..2499 --recipe fast
    python -m tests.benchmarks.decisions.thousands BANK

Each task is asked about other images: the test split in random order is dealt to the tasks, so that
with 2500 tasks every one of the 10,000 images is used once, under one task. (`evaluate --limit 4`
takes the same four images of each.)
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from supsup_cli.data import catalog
from supsup_cli.workflows.inference.accuracy import HeldOutTask, images_together, measure
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.rules import DecisionRequest, Rule, choose_rule
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Silent
from tests.benchmarks.made.timing import machine, row

_SINGLES = 100


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--objective")
    parser.add_argument("--times", type=int, default=1, help="time one image among N such banks")
    parser.add_argument("--images", type=int, default=10_000, help="of all tasks together")
    options = parser.parse_args()
    opened = open_tasks(options.bank, "cpu")
    decision = DecisionRequest(options.method, options.objective, "image", "cpu")
    if options.times > 1:
        many = repeated(opened, options.times)
        seconds = alone(many, choose_rule(many, decision, Silent()), dealt(opened.names, _SINGLES))
        print(f"{len(many.tasks)} tasks, one image alone, median: {1e3 * seconds:.1f} ms")
        return
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
    print(f"\none image alone, median of {_SINGLES}: {1e3 * alone(opened, rule, tests):.1f} ms")
    print(f"whole test split, task given: mean {np.mean(shares):.2%}, least {min(shares):.2%}")


def repeated(opened: OpenTasks, times: int) -> OpenTasks:
    """Repeat the same tasks several times: time depends only on their number."""
    stack = opened.stack
    gains = None if stack.gains is None else stack.gains.repeat(times, 1)
    return replace(
        opened,
        tasks=opened.tasks * times,
        stack=replace(stack, packed=stack.packed.repeat(times, 1), gains=gains),
        own=opened.own.repeat(times, 1),
    )


def alone(opened: OpenTasks, rule: Rule, tests: list[HeldOutTask]) -> float:
    """Time decisions about one image each, among the given tasks: median in seconds."""
    images = [test.split.take(slice(1)).images for test in tests[:: -(-len(tests) // _SINGLES)]]
    decide(opened, rule, images[0], [[0]])  # work that only the first decision does
    seconds = []
    for image in images:
        began = time.perf_counter()
        decide(opened, rule, image, [[0]])
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def dealt(names: list[str], images: int) -> list[HeldOutTask]:
    """Deal the test images, in random order, to the tasks."""
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
