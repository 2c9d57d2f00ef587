"""Tasks over a trained network: accuracy, bytes and time; a head alone and full fine-tuning.

    python -m tests.benchmarks.photos.trained_base WEIGHTS.safetensors TASK… [--input 3x96x96]

Each TASK is a folder with train/CLASS and test/CLASS. For each, three ways are measured: the task
as `learn-task` learns it; a head alone, trained for as many steps on the frozen network's features;
and with --fine-tune, as an upper bound, all weights and the head trained for 200 steps of 64. The
time of 200 such steps is estimated from the first 20, in the same run.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from bank_format.bank import Bank
from supsup_cli.core.networks.adapter import base_tensors
from supsup_cli.core.networks.head import pooled_features
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze
from supsup_cli.data import catalog
from supsup_cli.data.splits import Split
from supsup_cli.options import parse_shape
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.opening import OpenNetwork, open_network
from supsup_cli.workflows.reporting import Silent

STEPS, BATCH, TIMED = 200, 64, 20
_HEAD_RATE = 3e-3


def _one_cycle(rule: torch.optim.Optimizer, rate: float, steps: int) -> OneCycleLR:
    return OneCycleLR(rule, rate, total_steps=steps)


def _batches(images: int, steps: int) -> list[Tensor]:
    stream = torch.Generator().manual_seed(0)
    return [torch.randint(0, images, (BATCH,), generator=stream) for _ in range(steps)]


def _features(net: OpenNetwork, split: Split) -> Tensor:
    images = torch.from_numpy(split.images)
    with torch.no_grad():
        parts = [pooled_features(net.network, net.pixels(part)) for part in images.split(BATCH)]
    return torch.cat(parts)


def plain_network(bank: Bank) -> nn.Module:
    """Build a bank's network as its library defines it, with nothing folded."""
    record = bank.record
    network = build_network(NetworkSpec(record.arch, record.input.shape, record.outputs))
    freeze(network, bank.base(), torch.device("cpu"))
    network.to(memory_format=torch.channels_last)
    return network


def head_alone(net: OpenNetwork, train: Split, test: Split, classes: int) -> float:
    """Train a linear layer on the frozen features; return its test accuracy as a share."""
    values, labels = _features(net, train), torch.from_numpy(train.labels)
    guesses = trained_head(values, labels, _features(net, test), classes).argmax(1).numpy()
    return float((guesses == test.labels).mean())


def trained_head(values: Tensor, labels: Tensor, tests: Tensor, classes: int) -> Tensor:
    """Train a linear layer for 200 steps of 64; return its logits (N, K) for test features."""
    head = nn.Linear(values.shape[1], classes)
    rule = torch.optim.Adam(head.parameters(), _HEAD_RATE)
    cycle = _one_cycle(rule, _HEAD_RATE, STEPS)
    for here in _batches(len(labels), STEPS):
        rule.zero_grad()
        F.cross_entropy(head(values[here]), labels[here]).backward()
        rule.step()
        cycle.step()
    logits: Tensor = head(tests).detach()
    return logits


def full_steps(
    net: OpenNetwork, train: Split, test: Split, classes: int, steps: int, rate: float = 1e-4
) -> tuple[float, float]:
    """Train all weights and a head; return seconds for a step, and the test accuracy as a share."""
    images, labels = torch.from_numpy(train.images), torch.from_numpy(train.labels)
    network = plain_network(net.bank)
    weights = {
        name: one.clone().requires_grad_("running" not in name)
        for name, one in base_tensors(network).items()
    }
    head = nn.Linear(pooled_features(net.network, net.pixels(images[:2])).shape[1], classes)
    trained = [one for one in weights.values() if one.requires_grad]
    rule = torch.optim.Adam([*trained, *head.parameters()], rate)
    cycle = _one_cycle(rule, rate, STEPS)
    began = time.monotonic()
    for here in _batches(len(train), steps):
        inputs = net.pixels(images[here]).contiguous(memory_format=torch.channels_last)
        features = functional_call(network, weights, (inputs,))
        rule.zero_grad()
        F.cross_entropy(head(features), labels[here]).backward()
        rule.step()
        cycle.step()
    seconds = (time.monotonic() - began) / steps
    right = []
    with torch.no_grad():
        for part in torch.from_numpy(test.images).split(BATCH):
            right.append(head(functional_call(network, weights, (net.pixels(part),))).argmax(1))
    return seconds, float((torch.cat(right).numpy() == test.labels).mean())


def main() -> None:
    """Measure each task, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--arch", default="mobilenet_v2")
    parser.add_argument("--input", default="3x96x96")
    parser.add_argument("--fine-tune", action="store_true")
    parser.add_argument("--full-rate", type=float, default=1e-4, help="peak, of all weights")
    options = parser.parse_args()
    shape = parse_shape(options.input)
    torch.set_num_threads(1)
    print("task  masks  head alone  all weights  seconds  200 dense steps  file  mask", flush=True)
    with TemporaryDirectory() as folder:
        bank = Path(folder) / "bank"
        init_base(bank, BaseRequest(options.arch, shape, None, 10, 0, "", options.weights))
        for name in options.tasks:
            asked = LearnRequest([name], None, "default", None, None, 0, "cpu")
            (task,) = learn_task(bank, asked, Silent()).tasks
            net, data = open_network(bank, "cpu"), catalog.load(name, shape)
            classes = len(data.classes)
            alone = head_alone(net, data.train, data.test, classes)
            steps = STEPS if options.fine_tune else TIMED
            each, full = full_steps(net, data.train, data.test, classes, steps, options.full_rate)
            coded = sum(one.nbytes for one in _mask_bytes(bank, task.task))
            bound = f"{full:.3f}" if options.fine_tune else "-"
            print(
                f"{task.task}  {task.accuracy:.3f}  {alone:.3f}  {bound}  {task.seconds:.1f}  "
                f"{each * STEPS:.1f}  {task.bytes}  {coded}",
                flush=True,
            )


def _mask_bytes(bank: Path, task: str) -> list[Tensor]:
    """Return the tensors of a task's file that hold its masks' bits."""
    from safetensors.torch import load_file

    stored = load_file(bank / "masks" / f"{task}.safetensors")
    return [one for name, one in stored.items() if name.startswith("mask/")]


if __name__ == "__main__":
    main()
