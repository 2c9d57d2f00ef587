"""When a state is written, and to which plan it belongs."""

from pathlib import Path
from typing import Any

import pytest

from bank_format.kinds.state import WorkFolder, WorkState
from supsup_cli.core.learning.recipes import DEFAULT
from supsup_cli.workflows.learning.checkpoints import Checkpoints, plan_digest
from supsup_cli.workflows.reporting import Silent
from tests.support.banks import create


def test_a_plan_is_told_by_all_that_decides_it() -> None:
    plan = ("task", "ab" * 32, DEFAULT, 0, "cpu")
    other = ("other", "cd" * 32, None, 1, "cuda")
    digests = {plan_digest(*plan)}
    for place, value in enumerate(other):
        if value is not None:
            changed: Any = [*plan[:place], value, *plan[place + 1 :]]
            digests.add(plan_digest(*changed))
    assert len(digests) == 5


class _Clock:
    """A clock that the test sets; writing a state takes `cost` seconds."""

    def __init__(self, cost: float) -> None:
        self.now = 100.0
        self.cost = cost
        self.saved_at: list[float] = []

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("cost", "between"), [(0.0625, 15.0), (0.125, 15.0), (2.0, 200.0)])
def test_states_are_kept_every_quarter_minute_or_in_a_hundredth_of_the_time(
    cost: float, between: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(cost)

    def write(_work: WorkFolder, _state: WorkState) -> int:
        clock.saved_at.append(clock.now)
        clock.now += clock.cost
        return 0

    class Stub:
        steps_done = 1

        def state(self) -> dict[str, Any]:
            return {}

    monkeypatch.setattr(WorkFolder, "write", write)
    bank = create(tmp_path / "bank")
    work = WorkFolder(tmp_path / "work", "pets", bank.record)
    kept = Checkpoints(work, "ab" * 32, Silent(), clock)
    learning: Any = Stub()
    while clock.now < 1000:
        clock.now += 0.5
        kept.after_step(learning)
    gaps = [b - a for a, b in zip(clock.saved_at, clock.saved_at[1:], strict=False)]
    assert clock.saved_at[0] == 115.0
    assert len(gaps) >= 3
    assert all(between <= gap <= between + cost + 0.5 for gap in gaps)
