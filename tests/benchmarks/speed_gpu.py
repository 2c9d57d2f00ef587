"""Time decisions on a GPU; run by name. On a CPU it runs too, for what that is worth.

python -m tests.benchmarks.speed_gpu --device cuda
"""

import argparse

import torch

from supsup_cli.core.every_mask import exhaustive
from supsup_cli.core.task_inference import infer_tasks
from tests.benchmarks.timing import lenet, machine, measure, outputs, random_stack, row


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tasks", type=int, default=2500)
    parser.add_argument("--images", type=int, default=4096)
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


if __name__ == "__main__":
    main()
