"""Signals: an interrupt outside steps, a request while they run, and as before afterwards."""

import os
import signal
import threading
from contextlib import suppress

import pytest

from supsup_cli.stop_signals import stop_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def _send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_at_once_where_no_steps_run(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals():
        with pytest.raises(KeyboardInterrupt):
            _send(number)
        with pytest.raises(KeyboardInterrupt):
            _send(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_waits_for_the_step_and_the_second_does_not(
    number: signal.Signals,
) -> None:
    with stop_signals() as stop, stop.steps():
        assert not stop.asked
        _send(number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            _send(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interruption_that_someone_swallowed_is_seen_before_the_next_step(
    number: signal.Signals,
) -> None:
    with stop_signals() as stop:
        with suppress(KeyboardInterrupt):
            _send(number)
        with stop.steps():
            assert stop.asked
            with pytest.raises(KeyboardInterrupt):
                _send(number)


def test_whoever_asks_again_gets_the_same_and_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_signals() as outer:
        with stop_signals() as inner, inner.steps():
            assert inner is outer
            _send(signal.SIGTERM)
        assert outer.asked
        with pytest.raises(KeyboardInterrupt):
            _send(signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with stop_signals() as later:
        assert not later.asked


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            _send(signal.SIGHUP)
            assert not stop.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_handles_no_signals() -> None:
    handled = []

    def enter() -> None:
        with stop_signals():
            handled.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handled == [before]
