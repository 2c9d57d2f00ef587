"""What a task file records besides bits: accuracy, calibration, origin."""

import platform
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from bank_format.kinds.mask import Task
from bank_format.kinds.task_records import (
    AccuracyRecord,
    CalibrationRecord,
    Provenance,
    RecipeRecord,
)
from supsup_cli import __version__
from supsup_cli.core.inference.novelty import (
    CALIBRATION_LEVELS,
    DAMPED_LOG_ODDS,
    DOUBT,
    calibration_quantiles,
)
from supsup_cli.core.learning.one_task import class_log_probabilities
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.masks.masks import Masks
from supsup_cli.data.splits import Split
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.results.learning import LearnedTask
from supsup_cli.workflows.task_values import has_own_values

_KEPT_STEP = "kept_step"


def accuracy(net: OpenNetwork, masks: Masks, test: Split, outputs: Tensor) -> AccuracyRecord | None:
    """Count the test images classified rightly with the task given; None without test images.

    Args:
        net: the network.
        masks: parameter name → float32 zeros and ones.
        test: the test split.
        outputs: (K,) int64, the output of each class.
    """
    if len(test) == 0:
        return None
    images = torch.tensor(test.images, device=net.device)  # a copy: MNIST's is read-only
    guesses = class_log_probabilities(net.network, masks, images, net.pixels, outputs).argmax(-1)
    return AccuracyRecord(int((guesses.cpu().numpy() == test.labels).sum()), len(test))


def calibration(
    net: OpenNetwork, masks: Masks, split: Split, outputs: Tensor
) -> CalibrationRecord | None:
    """Measure how a task's own images fit its mask; None without images.

    It uses R, or H if there are no superfluous outputs or tasks bring more than a mask.
    """
    if len(split) == 0:
        return None
    images = torch.from_numpy(split.images).to(net.device)
    odds = len(outputs) < net.bank.record.outputs and not has_own_values(net.network)
    misfit = DAMPED_LOG_ODDS if odds else DOUBT
    values = calibration_quantiles(net.network, masks, images, net.pixels, outputs, misfit)
    return CalibrationRecord(misfit, len(split), CALIBRATION_LEVELS, tuple(values.tolist()))


def recipe_record(recipe: Recipe, kept_step: int | None = None) -> RecipeRecord:
    """Record how a task was learned.

    Args:
        recipe: with its steps, batch size and whatever else was asked for.
        kept_step: step of the kept masks, if the recipe stops early; a result among the settings.
    """
    kept = {} if kept_step is None else {_KEPT_STEP: kept_step}
    return RecipeRecord(recipe.name, recipe.settings() | kept)


def asked_settings(record: RecipeRecord) -> dict[str, int | float | str]:
    """Return the settings that were asked for, without the results recorded among them."""
    return {name: value for name, value in record.settings.items() if name != _KEPT_STEP}


def provenance(net: OpenNetwork, source: str, seconds: float) -> Provenance:
    """Record when, where and with what a task was learned; `source` is the data's folder or ""."""
    versions = {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "supsup": __version__,
        "torch": str(torch.__version__),
    }
    return Provenance(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        seconds=seconds,
        machine=f"{platform.system()} {platform.machine()}, {net.device.type}, "
        f"{torch.get_num_threads()} threads",
        versions=versions,
        source=source,
    )


def describe(task: Task, status: str, seconds: float) -> LearnedTask:
    """Make the answer for one task from its file."""
    return LearnedTask(
        task=task.content.task,
        kind=task.content.kind,
        status=status,
        accuracy=task.accuracy,
        steps=task.content.steps,
        seconds=seconds,
        density=task.density,
        bytes=task.bytes_on_disk,
        content_sha256=task.content_sha256,
        classes=tuple(one.name for one in task.content.classes),
    )
