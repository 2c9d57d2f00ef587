"""Work shared among ranks gives the documents of a single process, to the last bit."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.inference.accuracy import Measured
from supsup_cli.workflows.inference.evaluate import EvaluateRequest, evaluate
from supsup_cli.workflows.inference.infer_task import infer_task
from supsup_cli.workflows.inference.inputs import InputRequest
from supsup_cli.workflows.inference.predict import predict
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.inference.shared_tests import merge
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.results.inference import EvaluatedTask, NamedTask
from tests.support.ranks import in_turn

RANKS = 3
TASKS = ("mnist-perm-0", "mnist-perm-1", "mnist-perm-2")


def decision(group: str = "image") -> DecisionRequest:
    return DecisionRequest("auto", None, group, "cpu")


def inputs(*paths: object, data: tuple[str, ...] = (), limit: int | None = None) -> InputRequest:
    return InputRequest([str(one) for one in paths], io.StringIO(), data, limit, 0)


def untimed(result: Any) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "seconds": 0}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value


def check_equal(work: Callable[[Ranks], Any], exact: bool = True) -> list[int]:
    """Compare with a single process; return how many answers each rank gave."""
    shared, parts = in_turn(RANKS, work)
    expected, found = untimed(work(ALONE)), untimed(shared)
    if exact:
        assert found == expected
    else:
        assert rounded(json.loads(json.dumps(expected))) == json.loads(json.dumps(found))
    return [len(part[0]) for part in parts]  # type: ignore[arg-type]


def test_batches_of_images_are_predicted_by_turns(bank: Path) -> None:
    given = inputs(data=(*TASKS, "mnist-split-3"), limit=1500)
    counts = check_equal(lambda ranks: predict(bank, given, decision(), None, Silent(), ranks))
    assert counts == [1024 + 476 + 1024, 476 + 1024 + 476, 1024 + 476]


def test_with_the_task_given_too(bank: Path) -> None:
    given = inputs(data=("mnist-perm-1",), limit=3000)
    check_equal(lambda ranks: predict(bank, given, decision(), TASKS[1], Silent(), ranks))


@pytest.mark.parametrize("group", ["image", "7", "folder", "all"])
def test_tasks_are_inferred_as_by_one_process(bank: Path, images: Path, group: str) -> None:
    broken = images.parent / f"broken-{group}"
    broken.mkdir()
    (broken / "a.png").write_text("no image")
    given = inputs(images / "split-3", broken, images / "perm-0")
    counts = check_equal(
        lambda ranks: infer_task(bank, given, decision(group), 3, Silent(), ranks=ranks),
        exact=group == "image",
    )
    assert sum(counts) == {"image": 61, "7": 10, "folder": 12, "all": 2}[group]


def test_images_of_few_tasks_are_parted(bank: Path) -> None:
    request = EvaluateRequest(TASKS[:2], limit=3000)
    shared, parts = in_turn(
        RANKS, lambda ranks: evaluate(bank, decision(), request, Silent(), ranks)
    )
    assert untimed(shared) == untimed(evaluate(bank, decision(), request, Silent()))
    assert [len(part[0][0]) for part in parts] == [2, 2, 2]  # type: ignore[index]


@pytest.mark.parametrize("group_sizes", ["", "1,4"])
def test_many_tasks_are_dealt_out(bank: Path, group_sizes: str) -> None:
    request = EvaluateRequest(TASKS, limit=200, group_sizes=group_sizes)
    check_equal(lambda ranks: evaluate(bank, decision(), request, Silent(), ranks))


def test_what_no_rank_can_read_is_an_error_as_by_one_process(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no image")
    given = inputs(tmp_path / "x.png")
    with pytest.raises(NoInputError) as alone:
        predict(bank, given, decision(), None, Silent())
    with pytest.raises(NoInputError) as shared:
        in_turn(RANKS, lambda ranks: predict(bank, given, decision(), None, Silent(), ranks))
    assert str(shared.value) == str(alone.value)


def test_a_picture_of_recoveries_needs_one_process(bank: Path, tmp_path: Path) -> None:
    asked = DecisionRequest("hopfield", None, "image", "cpu")
    with pytest.raises(UsageError, match="under torchrun"):
        in_turn(
            2,
            lambda ranks: infer_task(
                bank, inputs(data=TASKS), asked, 3, Silent(), tmp_path / "x.png", ranks
            ),
        )


def _measured(images: int, right: int, groups: int, named: dict[str, int]) -> Measured:
    shares = [right / images] * 3
    of_decisions = (right / groups, 1.0, 2 * right / groups)
    false_alarms = (images - right) / images
    task = EvaluatedTask(*shares, of_decisions[0], false_alarms, *of_decisions[1:], "a", images)
    return Measured(task, tuple(NamedTask("a", *one) for one in named.items()), ())


def test_parts_of_a_task_count_as_many_as_their_images() -> None:
    whole = merge([_measured(8, 3, 4, {"a": 3, "b": 5}), _measured(5, 1, 3, {"a": 1, "c": 4})], 2)
    assert whole.task.images == 13
    assert whole.task.accuracy_given == 4 / 13
    assert whole.task.task_accuracy == 4 / 7
    assert (whole.task.short_list_recall, whole.task.masks_tried) == (1, 8 / 7)
    assert [(one.named, one.images) for one in whole.named] == [("a", 4), ("b", 5), ("c", 4)]
