"""A small comparison in memory: a base network, and tasks that are learned in a second."""

from dataclasses import replace

import torch
from torch import Tensor

from supsup_cli.baselines.learner import Learner
from supsup_cli.baselines.method import Method, TaskImages
from supsup_cli.baselines.networks import Base, drawn
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.networks.specs import NetworkSpec

PIXELS = Pixels(torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.5))
RECIPE = Recipe("test", "adam", 3e-3, "constant", steps=60, batch_size=32)
# Heads and factors are few numbers and learn faster.
FAST = replace(RECIPE, learning_rate=3e-2, steps=120)


def make_base(arch: str = "mlp-24", side: int = 8, outputs: int = 40, *, real: int = 3) -> Base:
    """A base network with drawn weights."""
    spec = NetworkSpec(arch, (1, side, side), outputs)
    empty = Base(spec, real, {"": torch.zeros(1)}, trained=False, seed=0)
    return Base(spec, real, drawn(empty, empty.network(outputs), "test"), trained=False, seed=0)


def make_task(number: int, side: int = 8, classes: int = 3) -> tuple[TaskImages, Tensor, Tensor]:
    """A task: each class is a random picture under noise; with test images (N, …) and labels."""
    stream = torch.Generator().manual_seed(number)
    pictures = torch.randint(0, 256, (classes, 1, side, side), generator=stream)

    def examples(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(0, classes, (count,), generator=stream)
        noise = torch.randint(-90, 91, (count, 1, side, side), generator=stream)
        return (pictures[labels] + noise).clamp(0, 255).to(torch.uint8), labels

    images, labels = examples(300)
    train = LabelledImages(images, labels)
    return TaskImages(f"task-{number}", train, torch.arange(classes)), *examples(200)


def learn(method: Method, tasks: list[TaskImages], later: Recipe = RECIPE) -> Learner:
    """Learn tasks in their order."""
    learner = Learner(method, PIXELS, 0)
    for task in tasks:
        learner.learn(task, later if learner.tasks else RECIPE)
    return learner


def accuracy(learner: Learner, place: int, images: Tensor, labels: Tensor) -> float:
    return float((learner.logits(place, images).argmax(1) == labels).float().mean())
