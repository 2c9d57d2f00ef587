"""Power cuts: after every step of a command the bank is as before or as after, never a third."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.robustness.faults.expected import Expected
from tests.robustness.faults.fault_scenarios import SCENARIOS, Scenario
from tests.robustness.faults.faults import fast_folder
from tests.robustness.faults.lost_writes import Disk, Step, Tree, recorded, write_tree
from tests.support.commands import run

SEED = 20
STATES = 1000  # for all commands, at least
SHARE = 12  # states of each command in CI; all of them in the slow sweep
KILLS = 3  # moments of each command in CI, for each new name; all of them in the slow sweep


@dataclass(frozen=True)
class Case:
    """A command, its working folder before, its calls, and the folder after it."""

    expected: Expected
    now: Path
    start: Path
    steps: list[Step]
    calls: list[str]

    @property
    def words(self) -> tuple[object, ...]:
        """The command, in the folder it works in."""
        return self.expected.scenario.words(self.now)


@contextmanager
def _begun(scenario: Scenario, patch: pytest.MonkeyPatch) -> Iterator[Case]:
    with fast_folder() as folder:
        now = folder / "now"
        now.mkdir()
        scenario.prepare(now)
        start = shutil.copytree(now, folder / "start")
        with recorded(patch) as recording:
            assert run(*scenario.words(now)).code == scenario.code
        expected = Expected.between(scenario, start, now)
        yield Case(expected, now, start, recording.steps, recording.calls)


@pytest.fixture(params=SCENARIOS)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    with _begun(SCENARIOS[request.param], monkeypatch) as case:
        yield case


def _states_after_every_step(case: Case) -> Iterator[tuple[Tree, bool]]:
    """Yield every state that the disk may be in, and whether the command had ended by then."""
    disk = Disk(case.now, case.start)
    seen: set[int] = set()
    for _ in disk.replay(case.steps):
        for tree in disk.states():
            key = hash(tuple(sorted(tree.items(), key=lambda item: item[0])))
            if key not in seen:
                seen.add(key)
                yield tree, False
    yield from ((tree, True) for tree in disk.states())


def _check(case: Case, tree: Tree, *, ended: bool) -> None:
    folder = case.now.with_name("found")
    folder.mkdir()
    write_tree(tree, folder)
    case.expected.check(folder)
    if ended:
        case.expected.check_ended(folder)
    case.expected.check_again(folder)
    shutil.rmtree(folder)


def _check_killed_and_run_again(case: Case, killed_before: int, patch: pytest.MonkeyPatch) -> None:
    """Cut the power after the second run has reported that the work is done."""
    shutil.rmtree(case.now)
    shutil.copytree(case.start, case.now)
    with recorded(patch, killed_before) as first:
        run(*case.words)
    assert first.killed
    with recorded(patch) as second:
        code = run(*case.words).code
    assert code in (0, case.expected.scenario.code)
    disk = Disk(case.now, case.start)
    list(disk.replay(first.steps + second.steps))
    states = list(disk.states())
    # The first is the one in which nothing has happened that could be missing.
    for tree in (states[0], random.Random(SEED).choice(states)):
        _check(case, tree, ended=True)


def test_a_share_of_the_states(case: Case) -> None:
    states = list(_states_after_every_step(case))
    for tree, ended in random.Random(SEED).sample(states, min(SHARE, len(states))):
        _check(case, tree, ended=ended)


def test_what_a_second_run_tells_is_so_at_some_moments(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {at + 1 for at, call in enumerate(case.calls) if call in ("link", "rename")}
    others = random.Random(SEED).sample(range(len(case.calls)), KILLS)
    for killed_before in sorted(named.union(others)):
        _check_killed_and_run_again(case, killed_before, monkeypatch)


@pytest.mark.slow
def test_every_state(case: Case) -> None:
    for tree, ended in _states_after_every_step(case):
        _check(case, tree, ended=ended)


@pytest.mark.slow
def test_there_are_a_thousand_states(monkeypatch: pytest.MonkeyPatch) -> None:
    total = 0
    for scenario in SCENARIOS.values():
        with _begun(scenario, monkeypatch) as case:
            total += sum(1 for _ in _states_after_every_step(case))
    assert total >= STATES
    print(f"{total} states")


@pytest.mark.slow
def test_what_a_second_run_tells_is_so_at_every_moment(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for killed_before in range(len(case.calls)):
        _check_killed_and_run_again(case, killed_before, monkeypatch)
