"""Every system call of every command that changes a bank goes wrong once, in each way."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.robustness.faults.expected import Expected
from tests.robustness.faults.fault_scenarios import SCENARIOS
from tests.robustness.faults.faults import Fault, Plan, command, fast_folder, run_in_child

SEED = 20
SHARE = 8  # cases of each command in CI; all of them in the slow sweep
FEWEST = 100  # cases of each command in all


@dataclass(frozen=True)
class Case:
    """A command, the folder before it, the folder after it, and its calls."""

    expected: Expected
    start: Path
    calls: tuple[str, ...]

    def plans(self) -> list[Plan]:
        """List every fault at every call where it can happen."""
        plans = [
            Plan(at, fault)
            for at, call in enumerate(self.calls)
            for fault in Fault
            if fault.fits(call)
        ]
        assert len(plans) >= FEWEST
        return plans


@pytest.fixture(scope="module", params=SCENARIOS)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    scenario = SCENARIOS[request.param]
    with fast_folder() as folder:
        start = folder / "start"
        start.mkdir()
        scenario.prepare(start)
        whole = shutil.copytree(start, folder / "whole")
        ended = run_in_child(command(*scenario.words(whole)))
        assert ended.code == scenario.code, ended
        yield Case(Expected.between(scenario, start, whole), start, ended.calls)


def _check(case: Case, plan: Plan) -> None:
    folder = case.start.with_name("case")
    shutil.copytree(case.start, folder)
    code = case.expected.scenario.code
    ended = run_in_child(command(*case.expected.scenario.words(folder)), plan)
    if plan.fault.kills:
        assert ended.code is None
    elif plan.fault is Fault.SHORT_WRITE:
        assert ended.code == code, ended
    else:
        unread = {5} if case.expected.problems else set()  # a repair leaves what it could not read
        assert ended.code in {code, 13} | unread, ended
        if ended.code == 13:
            said = ended.err or ended.out
            assert str(folder) in said or "cannot sync" in said  # a folder above the bank
            assert "hint" in said
            assert "Traceback" not in said
    case.expected.check(folder)
    if ended.code == 0:
        case.expected.check_ended(folder)
    case.expected.check_again(folder)
    shutil.rmtree(folder)


def test_a_share(case: Case) -> None:
    for plan in random.Random(SEED).sample(case.plans(), SHARE):
        _check(case, plan)


@pytest.mark.slow
def test_every_one(case: Case) -> None:
    print(len(case.plans()))
    for plan in case.plans():
        _check(case, plan)
