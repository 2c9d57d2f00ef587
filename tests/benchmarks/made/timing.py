"""What the benchmarks share: clocks, tables, a line about the machine, stacks of masks."""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.networks.specs import MultilayerPerceptron
from tests.support.networks import layout_of, signed_constant

LENET = (784, 300, 100, 500)
REAL = 10


@dataclass(frozen=True)
class Timing:
    """Seconds of several runs."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, middle, high = min(self.seconds), self.median, max(self.seconds)
        unit, scale = ("s", 1) if middle >= 1 else ("ms", 1000)
        return f"{middle * scale:.3g} {unit} ({low * scale:.3g} … {high * scale:.3g})"


def measure(
    work: Callable[[], object],
    runs: int,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time some work, after one run that warms it up."""
    seconds = []
    for _ in range(runs + 1):
        began = clock()
        work()
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(clock() - began)
    return Timing(tuple(seconds[1:]))


def machine() -> str:
    """Describe the machine and versions for which the figures hold."""
    import numba

    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads, Python "
        f"{platform.python_version()}, torch {torch.__version__}, numba {numba.__version__}, "
        f"numpy {np.__version__}"
    )


def row(what: str, *cells: object) -> str:
    """Format a line of a Markdown table."""
    return "| " + " | ".join([what, *map(str, cells)]) + " |"


def lenet(device: torch.device) -> nn.Module:
    """Make LeNet 300-100 with 500 outputs."""
    return signed_constant(MultilayerPerceptron(LENET), seed=0).to(device)


def random_stack(network: nn.Module, tasks: int, device: torch.device) -> MaskStack:
    """Draw masks of density one half."""
    layout = layout_of(network)
    packed = np.random.default_rng(0).integers(0, 256, (tasks, layout.bytes), dtype=np.uint8)
    return MaskStack(torch.from_numpy(packed).to(device), layout)


def outputs(tasks: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which outputs are real, (O,) bool, and each task's own, (T, O) bool."""
    real = torch.arange(LENET[-1], device=device) < REAL
    return real, real.expand(tasks, -1)


def apart(script: str, *arguments: str) -> str:
    """Run a script in its own process and return what it prints."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
