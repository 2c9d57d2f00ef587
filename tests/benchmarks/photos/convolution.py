"""Compare masks on a convolution net with the same net trained densely; run by name.

    python tests/benchmarks/photos/convolution.py \\
        mnist-rot-0 FOLDER [--steps 1000] [--input 1x28x28]

For each data set and way of learning: test accuracy with the task given, seconds of learning with
all that `learn-task` does, share of the weights kept. The dense rival has the same layers,
normalisation, steps and batches; all its weights are trained, from Kaiming-normal ones, by Adam in
one cycle with a peak rate of 3e-3. Photos: tests/benchmarks/made/photo_patches.py cuts some out of
packages.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bank_format.bank import Bank
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.bn_recalibration import recalibrated_statistics, sample_batches
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.normalisation import blank_statistics, forward_on_batch
from supsup_cli.core.seeds import generator
from supsup_cli.data import catalog
from supsup_cli.options import parse_shape
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.opening import open_network
from supsup_cli.workflows.reporting import Silent

# (recipe, density): None for what the recipe says.
WAYS = (("default", None), ("default", "er:16"), ("paper", None))
PEAK = 3e-3


def main() -> None:
    """Print a table, a line for each data set and way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--arch", default="conv-4")
    parser.add_argument("--input", default="1x28x28")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()
    shape = parse_shape(options.input)
    print(
        "data                  learned                        accuracy   kept   kept step  seconds"
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        init_base(path, BaseRequest(options.arch, shape, 500, 10, 0, "signed-constant"))
        for place, data in enumerate(options.data):
            for way, (recipe, density) in enumerate(WAYS):
                asked = LearnRequest(
                    data=[data],
                    name=f"{place}-{way}",
                    recipe=recipe,
                    steps=options.steps,
                    batch_size=options.batch_size,
                    seed=0,
                    device="cpu",
                    density=density,
                )
                (task,) = learn_task(path, asked, Silent()).tasks
                said = Bank.open(path).read_task(task.task).content.recipe
                name = f"{said.name} {said.settings.get('density', '')}"
                kept = str(said.settings.get("kept_step", options.steps))
                line(data, name, task.accuracy or 0.0, task.density, kept, task.seconds)
            began = time.perf_counter()
            accuracy = dense(path, data, options.steps, options.batch_size)
            seconds = time.perf_counter() - began
            line(data, "dense", accuracy, 1.0, str(options.steps), seconds)


def line(data: str, learned: str, accuracy: float, kept: float, step: str, seconds: float) -> None:
    name = Path(data).name
    print(
        f"{name:<20}  {learned:<29}  {accuracy:8.2%}  {kept:6.2%}  {step:>9}  {seconds:7.1f}",
        flush=True,
    )


def dense(path: Path, data: str, steps: int, batch_size: int) -> float:
    """Train all weights of the bank's network from scratch, and return its test accuracy."""
    net = open_network(path, "cpu")
    task = catalog.load(data, net.bank.record.input.shape)
    outputs = torch.tensor(task.outputs)
    images, test = torch.tensor(task.train.images), torch.tensor(task.test.images)
    labels, true = outputs[torch.tensor(task.train.labels)], outputs[torch.tensor(task.test.labels)]
    weights = drawn(net.network)
    rule = torch.optim.Adam(weights.values(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(rule, max_lr=PEAK, total_steps=steps)
    scratch = blank_statistics(net.network, net.device)
    order = BatchOrder(len(images), batch_size, generator(0, "batches", data))
    for _ in range(steps):
        here = order.next_batch()
        inputs = net.pixels(images[here]).contiguous(memory_format=torch.channels_last)
        logits = forward_on_batch(net.network, weights, scratch, inputs)
        rule.zero_grad()
        F.cross_entropy(logits, labels[here]).backward()
        rule.step()
        schedule.step()
    return measured(net.network, weights, net.pixels, images, test, true, batch_size)


def drawn(network: nn.Module) -> dict[str, Tensor]:
    """Draw Kaiming-normal weights that require gradients."""
    torch.manual_seed(0)
    return {
        name: nn.init.kaiming_normal_(torch.empty_like(one)).requires_grad_()
        for name, one in network.named_parameters()
    }


def measured(
    network: nn.Module,
    weights: dict[str, Tensor],
    pixels: Pixels,
    images: Tensor,
    test: Tensor,
    true: Tensor,
    batch_size: int,
) -> float:
    """Return the share of test images classified correctly, with exact statistics."""
    with torch.no_grad():
        # W ⊙ M with M = W' / W gives any weights W', because no weight of a base is zero.
        masks = {name: one / network.get_parameter(name) for name, one in weights.items()}
        data = LabelledImages(images, torch.zeros(len(images), dtype=torch.int64))
        sample = sample_batches(data, pixels, batch_size, generator(0, "statistics"))
        masks |= recalibrated_statistics(network, masks, sample)
        logits = [masked_forward(network, masks, pixels(part)) for part in test.split(1000)]
        return float((torch.cat(logits)[:, :10].argmax(-1) == true).float().mean())


if __name__ == "__main__":
    main()
