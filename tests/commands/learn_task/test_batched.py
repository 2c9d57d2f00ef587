"""Tasks learned in one program: what is committed, and what a stop or a broken task leaves."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.encoding.bits import distance
from bank_format.kinds.mask import Task
from supsup_cli.core.networks.specs import kind_of
from supsup_cli.data import catalog
from supsup_cli.data.splits import TaskData
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.learning import batched, scheduling
from supsup_cli.workflows.learning.plan import LearnRequest, Plan, chosen_recipe, make_plans
from supsup_cli.workflows.learning.scheduling import places
from supsup_cli.workflows.learning.session import LearnSession
from supsup_cli.workflows.opening import open_network
from supsup_cli.workflows.reporting import NeverStop, Silent, Stop

SMALL = 600  # training images


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a hundredth of the images: it does not matter here what is learned."""
    whole = catalog.load

    def load(*arguments: object, **named: object) -> TaskData:
        data = whole(*arguments, **named)  # type: ignore[arg-type]
        parts = {
            name: getattr(data, name).take(slice(SMALL))
            for name in ("train", "calibration", "test")
        }
        return dataclasses.replace(data, **parts)

    monkeypatch.setattr(catalog, "load", load)


def _session(path: Path, *data: str, steps: int = 12, stop: Stop | None = None) -> LearnSession:
    if not path.exists():
        init_base(path, BaseRequest("mlp-20", (1, 28, 28), 100, 10, 0, ""))
    request = LearnRequest(data, None, "fast", steps, 16, 0, "cpu")
    net = open_network(path, "cpu")
    recipe = chosen_recipe(request, kind_of(net.network))
    return LearnSession(
        net, make_plans(net, request), recipe, request, Silent(), stop or NeverStop()
    )


def _learn(session: LearnSession, *, in_one_program: bool) -> list[int]:
    steps: list[int] = []
    with places(session, session.plans, in_one_program) as learn_all:
        learn_all(steps.append)
    return steps


def _differing(one: Task, other: Task) -> int:
    return sum(distance(np.asarray(one.masks[name]), other.masks[name]) for name in one.masks)


def test_tasks_in_one_program_are_those_learned_one_by_one(tmp_path: Path) -> None:
    data = ("mnist-perm-0..2", "mnist-split-1")
    together, alone = _session(tmp_path / "a", *data), _session(tmp_path / "b", *data)
    assert sum(_learn(together, in_one_program=True)) == 4 * 12
    _learn(alone, in_one_program=False)
    assert list(together.done) == [plan.task for plan in together.plans]
    assert verify(tmp_path / "a").problems == ()
    assert list((tmp_path / "a" / "work").iterdir()) == []
    for plan in together.plans:
        task, other = (Bank.open(tmp_path / name).read_task(plan.task) for name in "ab")
        assert together.done[plan.task].status == "learned"
        assert _differing(task, other) <= 20  # out of 17,680
        assert task.content.recipe == other.content.recipe
        assert task.content.data == other.content.data
        assert task.content.classes == other.content.classes


def test_a_gpu_is_where_tasks_share_a_program_if_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks: list[int] = []

    def note(session: LearnSession, left: list[Plan], _advance: object) -> list[Plan]:
        blocks.append(len(left))
        return []

    monkeypatch.setattr(scheduling, "learn_together", note)
    session = _session(tmp_path / "bank", "mnist-perm-0..1")
    one = _session(tmp_path / "bank", "mnist-perm-0")
    assert batched.fits_together(session)
    assert not batched.fits_together(one)
    for change in ({"transfer": True}, {"combine": 0.9}, {"negatives": 0.1}):
        recipe = dataclasses.replace(session.recipe, **change)  # type: ignore[arg-type]
        assert not batched.fits_together(dataclasses.replace(session, recipe=recipe))
    _learn(session, in_one_program=True)
    assert blocks == [2]


class _StopAfter(NeverStop):
    """Ask for a stop after the given number of questions about it."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self._looks -= 1
        return self._looks < 0

    @contextmanager
    def steps(self) -> Iterator[None]:
        yield


def test_a_stop_keeps_finished_blocks_and_the_same_command_goes_on(tmp_path: Path) -> None:
    # Two looks at the claims, then one at each of the 12 steps, two commits; then the next block.
    stopped = _session(tmp_path / "bank", "mnist-perm-0..3", stop=_StopAfter(2 + 12 + 2 + 2 + 5))
    with pytest.raises(KeyboardInterrupt, match="2 tasks at step 5 of 12"):
        batched.learn_together(stopped, stopped.plans, lambda _steps: None, most=2)
    assert list(stopped.done) == ["mnist-perm-0", "mnist-perm-1"]
    again = _session(tmp_path / "bank", "mnist-perm-0..3")
    assert batched.learn_together(again, again.plans, lambda _steps: None, most=3) == []
    assert [one.status for one in again.done.values()] == ["exists", "exists", *2 * ["learned"]]


def test_what_another_process_learns_is_left_for_later(tmp_path: Path) -> None:
    session = _session(tmp_path / "bank", "mnist-perm-0..2")
    with session.net.bank.work.claim("mnist-perm-1"):
        left = batched.learn_together(session, session.plans, lambda _steps: None)
    assert [plan.task for plan in left] == ["mnist-perm-1"]
    assert list(session.done) == ["mnist-perm-0", "mnist-perm-2"]


def test_a_task_that_cannot_be_learned_is_told_once_those_before_it_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _session(tmp_path / "bank", "mnist-perm-0..3")
    read = LearnSession.read

    def broken(self: LearnSession, plan: Plan) -> TaskData:
        if plan.task == "mnist-perm-2":
            raise NoInputError("mnist-perm-2: gone")
        return read(self, plan)

    monkeypatch.setattr(LearnSession, "read", broken)
    with pytest.raises(NoInputError, match="gone"):
        batched.learn_together(session, session.plans, lambda _steps: None)
    assert list(session.done) == ["mnist-perm-0", "mnist-perm-1"]


def test_a_task_without_images_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _session(tmp_path / "bank", "mnist-perm-0..1")
    read = LearnSession.read

    def empty(self: LearnSession, plan: Plan) -> TaskData:
        data = read(self, plan)
        return dataclasses.replace(data, train=data.train.take(slice(0)))

    monkeypatch.setattr(LearnSession, "read", empty)
    with pytest.raises(UsageError, match="'mnist-perm-0': no training images"):
        batched.learn_together(session, session.plans, lambda _steps: None)


def test_a_task_that_diverges_is_told_once_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _session(tmp_path / "bank", "mnist-perm-0..2")
    masks = batched.ManyLearnings.masks

    def diverged(self: batched.ManyLearnings, index: int) -> object:
        if index == 1:
            raise ValueError("learning diverged")
        return masks(self, index)

    monkeypatch.setattr(batched.ManyLearnings, "masks", diverged)
    with pytest.raises(UsageError, match="'mnist-perm-1': learning diverged"):
        batched.learn_together(session, session.plans, lambda _steps: None)
    assert list(session.done) == ["mnist-perm-0", "mnist-perm-2"]
