"""The grid of learning rates: which one wins, and that every method gets as many trials."""

from types import SimpleNamespace
from typing import Any, cast

from supsup_cli.workflows.compare.rates import FACTORS, choose_rates, fixed_rates, trial_tasks
from supsup_cli.workflows.compare.systems import Entry, Rates, Setting

Asked = list[tuple[float, float | None]]


def _entry(scores: dict[tuple[float, float | None], float], two_rates: bool, asked: Asked) -> Entry:
    def trial(_setting: Any, _advance: Any) -> Any:
        def score(first: float, later: float | None) -> float:
            asked.append((first, later))
            return scores.get((first, later), 0.5)

        return score

    never = cast(Any, None)
    return Entry("m", "", "", Rates(1e-3, 1e-2), two_rates, never, trial)


def _setting(tasks: int) -> Setting:
    return cast(Setting, SimpleNamespace(tasks=range(tasks)))


def test_one_rate_is_tried_on_two_tasks() -> None:
    asked: Asked = []
    chosen = choose_rates(_entry({(3, 3): 0.9}, False, asked), _setting(5), lambda _: None)
    assert asked == [(factor, factor) for factor in FACTORS]
    assert (chosen.first, chosen.later) == (3e-3, 3e-2)
    assert not chosen.at_edge
    assert chosen.trials[2] == (3, 3, 0.9)


def test_two_rates_are_tried_one_after_the_other() -> None:
    asked: Asked = []
    scores = {(10.0, None): 0.7, (10.0, 0.3): 0.8}
    chosen = choose_rates(_entry(scores, True, asked), _setting(5), lambda _: None)
    assert asked == [*((one, None) for one in FACTORS), *((10, one) for one in FACTORS)]
    assert (chosen.first, chosen.later) == (1e-2, 3e-3)
    assert chosen.at_edge


def test_the_smaller_rate_wins_among_equals() -> None:
    chosen = choose_rates(_entry({}, False, []), _setting(2), lambda _: None)
    assert chosen.first == 0.3e-3


def test_a_single_task_is_enough_to_choose() -> None:
    for two in (False, True):
        asked: Asked = []
        chosen = choose_rates(_entry({(3, None): 0.9}, two, asked), _setting(1), lambda _: None)
        assert asked == [(factor, None) for factor in FACTORS]
        assert chosen.first == 3e-3
    assert trial_tasks(1) == 5
    assert trial_tasks(7) == 10


def test_fixed_rates_are_the_papers() -> None:
    chosen = fixed_rates(_entry({}, True, []))
    assert (chosen.first, chosen.later, chosen.trials) == (1e-3, 1e-2, ())
