"""What the frozen features alone know of tasks: a last layer for each, and naming by all classes.

    python -m tests.benchmarks.photos.trained_heads FEATURES --classes 5

FEATURES is the file that trained_names keeps with --keep; each task gets so many consecutive
classes of it, or with --published those of cifar100-split-I, if the file has CIFAR-100's classes in
their order. The first rows are given the task, as masks are; the others name it.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from supsup_cli.data.published import SETS
from tests.benchmarks.made.timing import machine, row
from tests.benchmarks.photos.trained_base import trained_head
from tests.benchmarks.photos.trained_names import discriminant, print_rivals


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("--classes", type=int, default=5, help="of a task")
    parser.add_argument("--ranpac", type=int, default=0, help="random features of RanPAC")
    parser.add_argument("--published", action="store_true", help="the order of cifar100-split-I")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = load_file(options.features)
    if options.published:
        places = torch.from_numpy(SETS["cifar100-split"].order().argsort())
        found |= {name: places[found[name]] for name in ("train_labels", "test_labels")}
    values, labels = found["train"].float(), found["train_labels"]
    tests, answers = found["test"].float(), found["test_labels"]
    tasks = (int(labels.max()) + 1) // options.classes
    print(f"{machine()}; {tasks} tasks of {options.classes} classes, {len(answers)} test images\n")
    print(row("last layer alone, task given", "mean", "least … most"))
    print(row("---", "---:", "---:"))
    for name in ("trained for 200 steps of 64", "LDA"):
        shares: list[float] = []
        for task in range(tasks):
            mine, theirs = (one // options.classes == task for one in (labels, answers))
            known, own = values[mine], labels[mine] % options.classes
            scores = (
                discriminant(known, own, tests[theirs])
                if name == "LDA"
                else trained_head(known, own, tests[theirs], options.classes)
            )
            right = scores.argmax(1) == answers[theirs] % options.classes
            shares.append(float(right.float().mean()))
        mean, spread = sum(shares) / tasks, f"{min(shares):.1%} … {max(shares):.1%}"
        print(row(name, f"{mean:.2%}", spread), flush=True)
    print()
    print_rivals(found, torch.arange(tasks * options.classes) // options.classes, options.ranpac)


if __name__ == "__main__":
    main()
