"""Print every figure of speed with its baseline, measured in one run; run by name.

    python -m tests.benchmarks.decisions.speed

Baselines do the same work on the same machine in the same minutes: a loop in plain PyTorch over
unpacked masks, and dense training with the same optimiser. Needs about 2 GB of memory and ten
minutes; `--quick` measures a tenth of the tasks. On a machine that others use as well, one thread
(`OMP_NUM_THREADS=1`) and `--processor-time` give ratios that hold, and seconds of one quiet core.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from bank_format.bank import Bank
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.inference.exhaustive import exhaustive
from supsup_cli.core.inference.methods import infer_tasks
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, RECIPES
from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import masked_forward, misfit, mixture_loss
from supsup_cli.core.networks.specs import masked_parameters
from supsup_cli.data import catalog
from tests.benchmarks.learning import learning_step
from tests.benchmarks.made.synthetic_bank import make_bank
from tests.benchmarks.made.timing import (
    Timing,
    apart,
    lenet,
    machine,
    measure,
    outputs,
    random_stack,
    row,
)
from tests.support.networks import layout_of, pack

Clock = Callable[[], float]
CPU = torch.device("cpu")
LEARNED = 4
PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))

MEMORY = """
import sys
from pathlib import Path
import torch
from supsup_cli.core.inference.methods import infer_tasks
from supsup_cli.workflows.opening import open_tasks
opened = open_tasks(Path(sys.argv[1]), "cpu")
images = torch.randn(1, 1, *opened.net.bank.record.input.shape)
infer_tasks(opened.net.network, opened.stack, images, method="one-shot", objective="H",
            real=opened.real, own=opened.own)
status = Path("/proc/self/status").read_text()  # getrusage starts with the memory of the parent
print(status.partition("VmHWM:")[2].split()[0])
"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--processor-time", action="store_true", help="what is computed in-process")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    few, many = (25, 250) if options.quick else (250, 2500)
    print(f"{machine()}; median (least … most) of {options.runs} runs\n")
    print(row("what", "here", "plain PyTorch", "times faster"))
    print(row("---", "---:", "---:", "---:"))
    network = lenet(CPU)
    one_shot(network, many, options.runs, clock)
    learned, images = learned_masks(network)
    for tasks in (few, many):
        every_mask(network, learned, images, tasks, max(1, options.runs // 2), clock)
    print()
    print(row("what", "here"))
    print(row("---", "---:"))
    with tempfile.TemporaryDirectory() as folder:
        bank(Path(folder) / "bank", many, options.runs, clock)
        start_up(Path(folder), options.runs)
        side_by_side(Path(folder) / "learned", 4 if options.quick else 20)
    print()
    steps(options.runs, clock)


def one_shot(network: nn.Module, tasks: int, runs: int, clock: Clock) -> None:
    """Time one decision of One-Shot: superposition, gradient, product with every mask."""
    stack = random_stack(network, tasks, CPU)
    real, own = outputs(tasks, CPU)
    image = torch.randn(1, 1, 1, 28, 28)

    def ours() -> Tensor:
        return infer_tasks(
            network, stack, image, method="one-shot", objective="H", real=real, own=own
        )

    # The mean of all masks does not change between decisions: neither side computes it again.
    even = torch.full((1, tasks), 1 / tasks)
    mean = stack.layout.split(bit_kernels.plain_weighted_sum(even, stack.packed))

    def plain(values: int = bit_kernels.BLOCK_VALUES) -> Tensor:
        mixture = {name: mask[0].requires_grad_() for name, mask in mean.items()}
        loss = mixture_loss("H", masked_forward(network, mixture, image[0]), real).mean()
        gradients = torch.autograd.grad(loss, list(mixture.values()))
        flat = stack.layout.join(dict(zip(mixture, gradients, strict=True)))
        return -bit_kernels.plain_products(flat[None], stack.packed, values)

    torch.testing.assert_close(ours(), plain(), atol=1e-6, rtol=1e-3)
    here = measure(ours, runs, clock=clock)
    for mib in (64, 16):
        there = measure(lambda: plain(mib << 18), max(1, runs // 2), clock=clock)  # noqa: B023
        what = f"One-Shot, one decision over {tasks} tasks; plain in chunks of {mib} MiB"
        print(row(what, here, there, _times(there, here)))


def learned_masks(network: nn.Module) -> tuple[MaskStack, Tensor]:
    """Learn a few tasks, to have images with a right mask among random ones."""
    rows, images = [], []
    layout = layout_of(network)
    for task in range(LEARNED):
        data = catalog.load(f"mnist-perm-{task}", (1, 28, 28))
        train = LabelledImages(
            torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
        )
        names = masked_parameters(network)
        recipe = dataclasses.replace(RECIPES["fast"], steps=200)
        learning = Learning(network, names, train, PIXELS, recipe, seed=0, task=str(task))
        while not learning.done:
            learning.advance()
        rows.append(pack(learning.masks(), layout))
        images.append(PIXELS(torch.tensor(data.test.images[:256])))
    return MaskStack(torch.stack(rows), layout), torch.cat(images)


def every_mask(
    network: nn.Module, learned: MaskStack, images: Tensor, tasks: int, runs: int, clock: Clock
) -> None:
    """Time naming the task of each image by trying every mask."""
    random = random_stack(network, tasks - LEARNED, CPU)
    stack = MaskStack(torch.cat([learned.packed, random.packed]), learned.layout)
    _, own = outputs(tasks, CPU)
    images = images if tasks < 1000 else images[::4]
    groups = images[:, None]

    def plain(some: Tensor = images) -> Tensor:
        columns = []
        for index in range(tasks):
            logits = masked_forward(network, stack.masks(index), some)
            columns.append(-misfit("R", logits, own[index]))
        return torch.stack(columns, dim=1)

    def alone() -> Tensor:
        return exhaustive(network, stack, groups[:1], "R", own, top=1)

    def whole() -> Tensor:
        return exhaustive(network, stack, groups, "R", own)

    def best() -> Tensor:
        return exhaustive(network, stack, groups, "R", own, top=1)

    winners = plain().argmax(1)
    for scores in (whole(), best().nan_to_num(-torch.inf)):
        if not bool((scores.argmax(1) == winners).all()):
            raise SystemExit("another winner than the plain reference's")
    torch.testing.assert_close(alone(), plain(images[:1]), atol=1e-4, rtol=1e-4)
    here = measure(alone, 2 * runs, clock=clock)
    there = measure(lambda: plain(images[:1]), runs, clock=clock)
    what = f"every mask, R, {tasks} tasks, one image by itself"
    print(row(what, here, there, _times(there, here)))
    base = measure(plain, runs, clock=clock)
    for what, work in (("all scores", whole), ("the best task alone", best)):
        here = measure(work, runs, clock=clock)
        rates = [f"{len(images) / one.median:.0f} images/s" for one in (here, base)]
        print(row(f"every mask, R, {tasks} tasks, {what}", *rates, _times(base, here)))


def bank(path: Path, tasks: int, runs: int, clock: Clock) -> None:
    """Time opening and verifying a bank, `stats` on it, and the memory of One-Shot over it."""
    made = make_bank(path, tasks)
    opening = measure(lambda: Bank.open(made.path).read_tasks(), runs, clock=clock)
    print(row(f"opening and verifying {tasks} tasks, page cache warm", opening))
    command = [sys.executable, "-m", "supsup_cli", "stats", "--bank", str(path), "--json"]
    whole = measure(lambda: subprocess.run(command, check=True, capture_output=True), runs)
    print(row(f"`stats` on {tasks} tasks, whole command", whole))
    apart(MEMORY, str(path))  # compiles the loops that are not in the cache yet
    memory = int(apart(MEMORY, str(path))) * 1024 / 1e9
    print(row(f"One-Shot over {tasks} tasks: most memory, torch included", f"{memory:.2f} GB"))


def start_up(folder: Path, runs: int) -> None:
    """Time `predict` on one image as a whole command, and importing torch alone."""
    make_bank(folder / "few", 10)
    image = folder / "image.png"
    digit = catalog.load_test("mnist-perm-0", (1, 28, 28)).test.images[0, 0]
    Image.fromarray(digit).save(image)

    def whole(*words: str) -> Timing:
        command = [sys.executable, *words]
        return measure(lambda: subprocess.run(command, check=True, capture_output=True), runs)

    torch_alone = whole("-c", "import torch")
    here = whole("-m", "supsup_cli", "predict", "--bank", str(folder / "few"), str(image))
    print(row("`predict` on one image, 10 tasks, whole command", here))
    print(row("`import torch` and nothing else", torch_alone))


def side_by_side(path: Path, tasks: int) -> None:
    """Time `learn-task` on many tasks with the recipe `fast`, as a whole command."""
    supsup = [sys.executable, "-m", "supsup_cli"]
    subprocess.run([*supsup, "init-base", "--bank", str(path)], check=True, capture_output=True)
    data = f"mnist-perm-0..{tasks - 1}"
    command = [*supsup, "learn-task", "--bank", str(path), "--data", data, "--recipe", "fast"]
    began = time.perf_counter()
    ran = subprocess.run([*command, "--json"], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    accuracy = statistics.mean(one["accuracy"] for one in json.loads(ran.stdout)["tasks"])
    print(row(f"`learn-task` on {tasks} tasks, `fast`, a task", f"{seconds / tasks:.2f} s"))
    print(row("their mean accuracy", f"{accuracy:.2%}"))


def steps(runs: int, clock: Clock) -> None:
    """Time a step against a dense one, and whole tasks."""
    data, pixels = learning_step.labelled_images()
    print(row("a step of 128 images", "masked", "dense", "masked / dense"))
    print(row("---", "---:", "---:", "---:"))
    for name, sizes in learning_step.NETWORKS.items():
        for recipe in (PAPER, DEFAULT):
            masked, dense = learning_step.alternate(sizes, recipe, data, pixels, runs, clock)
            ratios = [a / b for a, b in zip(masked, dense, strict=True)]
            middle = [f"{statistics.median(one):.2f} ms" for one in (masked, dense)]
            spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})"
            print(row(f"{name}, `{recipe.name}`", *middle, spread))
    for recipe in (PAPER, DEFAULT, RECIPES["fast"]):
        network = lenet(CPU)
        began = clock()
        learning_step.learn(network, recipe, data, pixels, lambda: None)
        seconds = f"{clock() - began:.2f} s"
        print(row(f"a LeNet task, `{recipe.name}`, {recipe.steps} steps", seconds, "", ""))


def _times(slow: Timing, fast: Timing) -> str:
    return f"{slow.median / fast.median:.1f}"


if __name__ == "__main__":
    main()
