"""FORMAT.md describes every score of a calibration, and when an image is new."""

import doctest
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bank_format
from bank_format.bank import Bank
from supsup_cli.core.inference.novelty import (
    CALIBRATION_LEVELS,
    DAMPED_LOG_ODDS,
    MISFITS,
    Calibration,
    novelty_threshold,
)

SECTION = (
    Path(bank_format.__file__)
    .with_name("FORMAT.md")
    .read_text(encoding="utf-8")
    .partition("## Calibration")[2]
    .partition("\n## ")[0]
)


LISTED = re.findall(r'^- `"([^"]+)"`:', SECTION, re.MULTILINE)


def test_the_specification_lists_every_score() -> None:
    assert sorted(LISTED) == sorted(MISFITS)


def test_what_tasks_are_calibrated_with_is_listed(bank: Path) -> None:
    """A convolution net's tasks are in test_learn_convolution."""
    tasks, _ = Bank.open(bank).read_tasks()
    written = {one.content.calibration.objective for one in tasks if one.content.calibration}
    assert written == {DAMPED_LOG_ODDS}
    assert written <= set(LISTED)


def _specified(images: int, values: list[float], tasks: int, together: int, scores: int) -> float:
    globs: dict[str, Any] = {"np": np}
    for example in doctest.DocTestParser().get_examples(SECTION):
        if example.source.startswith(("from", "def")):
            exec(example.source, globs)
    stated = {"images": images, "levels": list(CALIBRATION_LEVELS), "values": values}
    return float(globs["threshold"](stated, tasks, together, scores))


@pytest.mark.parametrize("images", [20, 90, 600, 3000, 100_000])
@pytest.mark.parametrize("tasks", [1, 20, 250, 10_000])
@pytest.mark.parametrize("together", [1, 2, 7, 64])
@pytest.mark.parametrize("scores", [1, 2])
def test_the_rule_of_the_specification_is_the_one_that_answers(
    images: int, tasks: int, together: int, scores: int
) -> None:
    drawn = np.random.default_rng(images + tasks + together).normal(-4, 3, len(CALIBRATION_LEVELS))
    values = sorted(drawn.tolist())
    known = Calibration(DAMPED_LOG_ODDS, images, CALIBRATION_LEVELS, tuple(values))
    specified = _specified(images, values, tasks, together, scores)
    assert novelty_threshold(known, tasks, together, scores) == pytest.approx(specified, abs=1e-6)


def test_nothing_is_new_beside_few_images_or_an_unknown_score() -> None:
    values = tuple(float(level) for level in CALIBRATION_LEVELS)
    for misfit, images in ((DAMPED_LOG_ODDS, 19), ("of later versions", 500)):
        known = Calibration(misfit, images, CALIBRATION_LEVELS, values)
        assert novelty_threshold(known, 1) == math.inf
