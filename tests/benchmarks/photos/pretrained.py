"""Compare masks over a trained base with masks over a random one; run by name.

    python tests/benchmarks/photos/pretrained.py [--steps 100 300] [--data mnist-rot-45 …]

A LeNet 300-100 with 100 outputs is trained densely on three rotations of MNIST (outputs 0 to 9, 10
to 19 and 20 to 29), its weights become the base of a bank, and further tasks are learned over it
and over a random base with the same recipe and number of steps.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from supsup_cli.core.images import Pixels
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze, kaiming_normal
from supsup_cli.core.seeds import generator
from supsup_cli.data import catalog
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent

ARCH, SHAPE, OUTPUTS = "lenet-300-100", (1, 28, 28), 100
TRAINED_ON = ("mnist-rot-0", "mnist-rot-90", "mnist-rot-180")
TRAINING_STEPS, BATCH, PEAK = 3000, 128, 3e-3
PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))


def main() -> None:
    """Print a line for each task and number of steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--data", nargs="+", default=["mnist-rot-45"])
    parser.add_argument("--training-steps", type=int, default=TRAINING_STEPS)
    options = parser.parse_args()
    print("data             steps  random base  trained base")
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "trained.safetensors"
        train(weights, options.training_steps)
        banks = {name: Path(folder) / name for name in ("random", "trained")}
        request = BaseRequest(ARCH, SHAPE, OUTPUTS, 10, 0, "signed-constant")
        init_base(banks["random"], request)
        init_base(banks["trained"], BaseRequest(ARCH, SHAPE, OUTPUTS, 10, 0, "", weights))
        for data in options.data:
            for steps in options.steps:
                shares = [accuracy(bank, data, steps) for bank in banks.values()]
                print(f"{data:16} {steps:5}  {shares[0]:11.2%}  {shares[1]:12.2%}", flush=True)


def train(file: Path, steps: int) -> None:
    """Train all weights on several rotations at once, each with its own outputs."""
    network = build_network(NetworkSpec(ARCH, SHAPE, OUTPUTS))
    weights = {
        name: kaiming_normal(tuple(one.shape), seed=1, name=name).numpy()
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    network.requires_grad_(True).train()
    tasks = [catalog.load(name, SHAPE).train for name in TRAINED_ON]
    rule = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(rule, PEAK, total_steps=steps)
    stream = generator(0, "pretraining")
    for step in range(steps):
        place = step % len(tasks)
        picked = torch.randint(len(tasks[place]), (BATCH,), generator=stream).numpy()
        images = PIXELS(torch.from_numpy(tasks[place].images[picked]))
        targets = torch.from_numpy(tasks[place].labels[picked]) + 10 * place
        loss = F.cross_entropy(network(images), targets)
        rule.zero_grad()
        loss.backward()
        rule.step()
        schedule.step()
    save_file({name: one.detach() for name, one in network.named_parameters()}, file)


def accuracy(bank: Path, data: str, steps: int) -> float:
    """Learn a task under its own name and return its test accuracy."""
    request = LearnRequest([data], f"{data}-{steps}", "default", steps, None, 0, "cpu")
    share = learn_task(bank, request, Silent()).tasks[0].accuracy
    if share is None:
        raise ValueError(f"{data}: no test images")
    return share


if __name__ == "__main__":
    main()
