"""Measure how many masks are recovered from attractors and images, and how well they answer.

    python tests/benchmarks/storage/hopfield.py --seeds 0 1 2 3 4 --images 0 64 16 1
    python tests/benchmarks/storage/hopfield.py \\
        --data mnist-perm-0..19 --outputs 100 --counts 5 10 15 20
    python tests/benchmarks/storage/hopfield.py --data mnist-rot-0..330:30 --counts 4 8 12

Unlabelled test images of one task at a time (0 means all of them) recover a mask from the matrices
and the mean pattern. "Right" counts masks that differ from the task's own in at most 1 % of the
bits. Accuracy is that of the recovered mask on the whole test set, over all outputs of the tasks in
the bank. Banks stay in `--folder`, if given, so that another run continues from there.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from supsup_cli.core.hopfield.attractors import RULES, encode
from supsup_cli.core.hopfield.recovery import Recovery, RecoverySettings, recover, settings_for
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.data import catalog
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Silent

Patterns = dict[str, Tensor]


def main() -> None:
    """Learn the tasks, print a line for each way to store and to recover them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist-split-0..4")
    parser.add_argument("--arch", default="units-2048-2048")
    parser.add_argument("--outputs", type=int, default=10)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--images", type=int, nargs="+", default=[64])
    parser.add_argument("--counts", type=int, nargs="+", help="tasks stored; default all")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--attempts", type=int, help="default: by the tasks stored")
    parser.add_argument("--descent-steps", type=int)
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        for seed in options.seeds:
            name = f"{options.arch}-{options.outputs}-{options.steps}-{seed}"
            bank = (options.folder or Path(temporary)) / name
            init_base(
                bank,
                BaseRequest(
                    options.arch, (1, 28, 28), options.outputs, 10, seed, "signed-constant"
                ),
            )
            request = LearnRequest(
                [options.data], None, "default", options.steps, None, seed, "cpu"
            )
            learned = learn_task(bank, request, Silent()).tasks
            given = [one.accuracy or 0.0 for one in learned]
            print(f"seed {seed}: accuracy given {sum(given) / len(given):.2%}", flush=True)
            opened = open_tasks(bank, "cpu", [one.task for one in learned])
            for count in options.counts or [len(learned)]:
                settings = _settings(count, options)
                for rule in options.rules:
                    for images in options.images:
                        print(_line(opened, count, rule, images, settings), flush=True)


def _settings(count: int, options: argparse.Namespace) -> RecoverySettings:
    usual = settings_for(count)
    return replace(
        usual,
        attempts=options.attempts or usual.attempts,
        steps=options.descent_steps or usual.steps,
    )


def _line(opened: OpenTasks, count: int, rule: str, images: int, settings: RecoverySettings) -> str:
    """Store the first tasks by a rule, recover each, and report the results."""
    stored = [opened.stack.masks(index) for index in range(count)]
    signs = {
        name: torch.stack([one[name] for one in stored]).double() * 2 - 1 for name in stored[0]
    }
    matrices = {name: encode(one, rule) for name, one in signs.items()}
    start = {name: one.mean(0) for name, one in signs.items()}
    bits = sum(one.shape[1] for one in signs.values())
    distances, accuracies, steps, seconds = [], [], [], []
    for index, task in enumerate(opened.tasks[:count]):
        inputs, targets = _test_images(opened, task.content.data.name)
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(index))
        group = inputs[order[: images or len(inputs)]]
        began = time.perf_counter()
        found = recover(opened.net.network, matrices, start, group, settings)
        seconds.append(time.perf_counter() - began)
        distances.append(
            sum(int((found.mask[n] != (one[index] > 0)).sum()) for n, one in signs.items())
        )
        accuracies.append(_accuracy(opened, found, inputs, targets))
        steps.append(found.steps)
    right = sum(one <= bits / 100 for one in distances)
    return (
        f"{count:3} tasks, {rule:8}, {images or 'all':>4} images: right {right}/{count}, exact "
        f"{distances.count(0)}/{count}, accuracy {sum(accuracies) / count:.2%}, at most "
        f"{max(steps)} steps, {sum(seconds) / count:.1f} s a task"
    )


def _test_images(opened: OpenTasks, data: str) -> tuple[Tensor, Tensor]:
    """Read a task's test split: inputs (N, C, H, W) float32, and the output of each label."""
    test = catalog.load_test(data, opened.net.bank.record.input.shape)
    outputs = torch.tensor(test.outputs)
    return opened.net.pixels(torch.tensor(test.test.images)), outputs[
        torch.tensor(test.test.labels)
    ]


def _accuracy(opened: OpenTasks, found: Recovery, inputs: Tensor, targets: Tensor) -> float:
    mask = {name: one.float() for name, one in found.mask.items()}
    answers = [
        masked_forward(opened.net.network, mask, part).argmax(1) for part in inputs.split(1000)
    ]
    return float((torch.cat(answers) == targets).double().mean())


if __name__ == "__main__":
    main()
