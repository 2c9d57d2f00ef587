"""The confusion that `evaluate --plot` draws: its numbers, legible for many tasks, too."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supsup_cli.workflows.plots import plot_evaluation, task_confusion
from supsup_cli.workflows.results.inference import EvaluatedTask, EvaluateResult, NamedTask, Scores


def evaluated(tasks: Iterable[str], confusion: Iterable[tuple[str, str, int]]) -> EvaluateResult:
    shares = (0.9, 0.8, 0.8, 0.8, 0.0, 1.0, 2.5)
    return EvaluateResult(
        tasks=tuple(EvaluatedTask(*shares, task=task, images=10) for task in tasks),
        mean=Scores(*shares),
        by_group=(),
        confusion=tuple(NamedTask(*one) for one in confusion),
        method="exhaustive",
        objective="R",
        group="image",
        seconds=1.0,
        plot=None,
        csv=None,
        failed=(),
        recoveries=(),
    )


def many(count: int) -> EvaluateResult:
    """Tasks t0, t1, …; for every seventh task, three in ten images are taken for the next task."""
    names = [f"t{number}" for number in range(count)]
    rows: list[tuple[str, str, int]] = []
    for place, name in enumerate(names):
        wrong = 3 if place % 7 == 0 else 0
        rows.append((name, name, 10 - wrong))
        if wrong:
            rows.append((name, names[(place + 1) % count], wrong))
    return evaluated(names, rows)


def test_shares_are_of_each_tasks_own_images() -> None:
    result = evaluated(["a", "b"], [("a", "a", 6), ("a", "b", 2), ("b", "b", 4)])
    confusion = task_confusion(result)
    assert (confusion.rows, confusion.columns) == (("a", "b"), ("a", "b"))
    assert confusion.shares.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_tasks_that_were_not_evaluated_are_columns_alone() -> None:
    confusion = task_confusion(evaluated(["b"], [("b", "c", 1), ("b", "b", 1)]))
    assert (confusion.rows, confusion.columns) == (("b",), ("b", "c"))
    assert confusion.shares.tolist() == [[0.5, 0.5]]


def test_up_to_forty_tasks_stand_by_themselves() -> None:
    confusion = task_confusion(many(40))
    assert confusion.rows == confusion.columns == tuple(f"t{number}" for number in range(40))


@pytest.mark.parametrize("count", [41, 300])
def test_of_more_the_most_confused_stand_and_the_others_are_one(count: int) -> None:
    result = many(count)
    confusion = task_confusion(result)
    assert len(confusion.rows) == len(confusion.columns) == 40
    assert confusion.rows == confusion.columns
    assert confusion.rows[-1] == f"{count - 39} others"
    assert confusion.shares.sum(axis=1) == pytest.approx(np.ones(40))
    place = {name: index for index, name in enumerate(confusion.rows)}
    assert confusion.shares[place["t0"], place["t1"]] == pytest.approx(0.3)
    if count == 300:
        assert confusion.rows[:4] == ("t0", "t1", "t7", "t8")
    if count == 41:
        confused = {f"t{number + beside}" for number in range(0, 41, 7) for beside in (0, 1)}
        assert confused <= {*place}


@pytest.mark.parametrize("count", [1, 2, 12, 40, 90])
def test_a_picture_of_any_number_of_tasks_has_a_bounded_size(count: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_evaluation(many(count), tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        width, height = image.size
    cells = min(count, 40)
    assert 1000 <= width <= 2000
    assert max(400, 28 * cells) <= height <= 1300
