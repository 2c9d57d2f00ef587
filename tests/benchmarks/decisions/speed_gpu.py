"""Time decisions and learning on a GPU; run by name. It also runs on a CPU, as a test.

python -m tests.benchmarks.decisions.speed_gpu --device cuda
"""

import argparse
import dataclasses

import torch
from torch import nn

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.inference.exhaustive import exhaustive
from supsup_cli.core.inference.methods import infer_tasks
from supsup_cli.core.learning.many_tasks import ManyLearnings
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import FAST
from supsup_cli.core.networks.specs import masked_parameters
from tests.benchmarks.made.timing import (
    REAL,
    Timing,
    lenet,
    machine,
    measure,
    outputs,
    random_stack,
    row,
)

# The training images of a task of permuted MNIST.
_TRAIN = 57_000


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tasks", type=int, default=2500)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--together", type=int, default=128, help="tasks learned in one program")
    parser.add_argument("--train", type=int, default=_TRAIN, help="training images of a task")
    parser.add_argument("--steps", type=int, default=100, help="timed, of learning")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}; {machine()}; median (least … most)\n")
    print(row(f"{options.tasks} tasks", "here"))
    print(row("---", "---:"))
    network = lenet(device)
    stack = random_stack(network, options.tasks, device)
    real, own = outputs(options.tasks, device)
    images = torch.randn(options.images, 1, 1, 28, 28, device=device)

    def one_shot() -> torch.Tensor:
        return infer_tasks(
            network, stack, images[:1], method="one-shot", objective="H", real=real, own=own
        )

    def every_mask() -> torch.Tensor:
        return exhaustive(network, stack, images, "R", own)

    print(row("One-Shot, one decision", measure(one_shot, options.runs, device)))
    whole = measure(every_mask, max(1, options.runs // 3), device)
    print(row("every mask, R", f"{options.images / whole.median:.0f} images/s"))
    learned = [
        _learning(network, count, options.train, options.steps, options.runs)
        for count in (1, options.together)
    ]
    for count, timing in zip((1, options.together), learned, strict=True):
        of_a_task = timing.median / options.steps / count
        print(row(f"a task's step, {count} learned together", f"{of_a_task * 1e6:.3g} µs"))
        whole_bank = of_a_task * FAST.steps * options.tasks
        print(row(f"steps of {options.tasks} tasks, recipe fast", f"{whole_bank:.3g} s"))


def _learning(network: nn.Module, count: int, train: int, steps: int, runs: int) -> Timing:
    """Time steps of tasks that permute random images, of one task or of several at once."""
    weight = next(network.parameters())
    on = weight.device
    images = torch.randint(0, 256, (train, 1, 28, 28), dtype=torch.uint8, device=on)
    targets, rows = torch.randint(0, REAL, (train,), device=on), torch.arange(train, device=on)
    data = [
        LabelledImages(images, targets, rows, torch.randperm(784, device=on)) for _ in range(count)
    ]
    pixels = Pixels(*(weight.new_full((1, 1, 1), value) for value in (0.1307, 0.3081)))
    recipe = dataclasses.replace(FAST, steps=steps * (runs + 1))
    names = [f"mnist-perm-{task}" for task in range(count)]
    learning: Learning | ManyLearnings
    if count == 1:
        masked = masked_parameters(network)
        learning = Learning(network, masked, data[0], pixels, recipe, seed=0, task=names[0])
    else:
        learning = ManyLearnings(network, data, pixels, recipe, seed=0, tasks=names)

    def take_steps() -> None:
        for _ in range(steps):
            learning.advance()

    return measure(take_steps, runs, weight.device)


if __name__ == "__main__":
    main()
