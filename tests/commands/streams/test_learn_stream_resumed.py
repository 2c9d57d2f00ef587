"""learn-stream continues where it stopped, and learns the masks of an unbroken stream."""

import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.disk import system_calls
from bank_format.encoding.sealed import seal, unseal
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.learning import checkpoints
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.results.streams import StreamResult
from supsup_cli.workflows.streams import commits
from supsup_cli.workflows.streams.learn_stream import learn_stream
from supsup_cli.workflows.streams.plan import StreamRequest
from tests.support.commands import answer, flip_bit, make_bank, run, start
from tests.support.stops import Notes, StopAfter

VISITS = ("mnist-perm-0", "mnist-perm-1", "mnist-perm-0")
VISIT = 40
TOTAL = VISIT * len(VISITS)
WORK = Path("work") / "stream-0"
STATE = WORK / "state.safetensors"
WORDS = (
    *("learn-stream", *(word for one in VISITS for word in ("--data", one))),
    *("--visit", VISIT, "--check-every", 15, "--device", "cpu"),
)


def request(rule: str = "loss") -> StreamRequest:
    return StreamRequest(VISITS, VISIT, "stream", 2500, 15, rule, 128, 0, "cpu")


def learn_to_the_end(bank: Path, rule: str = "loss") -> tuple[StreamResult, list[str]]:
    notes = Notes()
    result = learn_stream(bank, request(rule), notes)
    assert list((bank / "work").iterdir()) == []
    return result, notes.said


def stop_after(bank: Path, batches: int, rule: str = "loss") -> StoppedError:
    with pytest.raises(StoppedError) as stopped:
        learn_stream(bank, request(rule), Silent(), StopAfter(batches))
    return stopped.value


def digests(result: StreamResult) -> list[str]:
    return [one.content_sha256 for one in result.tasks]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StreamResult]:
    """The answer of the stream if nothing stops it, for each rule."""
    banks = {one: make_bank(tmp_path_factory.mktemp(one) / "bank") for one in ("loss", "paper")}
    return {rule: learn_to_the_end(bank, rule)[0] for rule, bank in banks.items()}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return make_bank(tmp_path / "bank")


@pytest.fixture
def stopped(fresh: Path) -> Path:
    """A bank with a stream that stopped in the middle of its second visit."""
    stop_after(fresh, 60)
    return fresh


# VISIT + 1 and VISIT + 2: one or two batches that fit no mask wait for the third.
@pytest.mark.parametrize("rule", ["loss", "paper"])
def test_stopped_again_and_again_the_same_command_gives_the_same_content(
    rule: str, fresh: Path, whole: dict[str, StreamResult]
) -> None:
    done = 0
    for stop in (0, 1, 15, VISIT - 1, VISIT, VISIT + 1, VISIT + 2, 77, 2 * VISIT, TOTAL - 1, TOTAL):
        error = stop_after(fresh, stop - done, rule)
        done = error.beside["batches"]  # type: ignore[assignment]
        assert stop - 2 <= done <= stop
        assert f"at batch {done} of {TOTAL}, saved; 0 of" in error.message
        assert Bank.open(fresh).tasks() == []
        assert Bank.open(fresh).work.unfinished() == ["stream-0"]
        report = answer("verify", "--bank", fresh)
        assert (report["ok"], len(report["hints"])) == (True, 1)
    result, said = learn_to_the_end(fresh, rule)
    assert digests(result) == digests(whole[rule])
    assert result.decisions == whole[rule].decisions
    assert said == [f"task stream-0: goes on after step {TOTAL}"]


def test_only_masks_that_have_learned_since_are_written(fresh: Path) -> None:
    stop_after(fresh, 60)
    parts = {path.name for path in (fresh / WORK).glob("part-*")}
    assert len(parts) == 2
    stop_after(fresh, 10)
    later = {path.name for path in (fresh / WORK).glob("part-*")}
    assert (len(later), len(later & parts)) == (2, 1)


def test_a_state_at_every_batch_changes_nothing(
    fresh: Path, whole: dict[str, StreamResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoints, "_SHARE", float("inf"))
    result, said = learn_to_the_end(fresh)
    assert (digests(result), said) == (digests(whole["loss"]), [])


def test_a_stop_between_commits_keeps_what_is_committed(
    fresh: Path, whole: dict[str, StreamResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def interrupted(*words: Any) -> Any:
        measured.append(words)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return accuracy(*words)

    accuracy = commits.accuracy
    with monkeypatch.context() as patch:
        patch.setattr(commits, "accuracy", interrupted)
        ran = run(*WORDS, "--bank", fresh, "--json")
    assert (ran.code, ran.error["code"]) == (130, "interrupted")
    assert f"at batch {TOTAL} of {TOTAL}, saved; 1 of 2" in ran.error["message"]
    assert [one["task"] for one in ran.json["tasks"]] == ["stream-0"]
    result, _ = learn_to_the_end(fresh)
    assert [one.status for one in result.tasks] == ["exists", "learned"]
    assert digests(result) == digests(whole["loss"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signalled_process_goes_on_in_the_next_one(
    number: signal.Signals, fresh: Path, whole: dict[str, StreamResult]
) -> None:
    stop_after(fresh, 20)
    before = (fresh / STATE).read_bytes()
    process = start(*WORDS, "--bank", fresh, "--json")
    claim = fresh / WORK / "claim"
    deadline = time.monotonic() + 60
    while not claim.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert (fresh / STATE).read_bytes() == before
    else:
        assert process.returncode == 130, (out, err)
        assert json.loads(out)["error"]["code"] == "interrupted"
    result, said = learn_to_the_end(fresh)
    assert digests(result) == digests(whole["loss"])
    assert "goes on after step" in said[0]


@pytest.mark.parametrize("harm", ["state", "part", "lost part", "swapped parts"])
def test_damaged_work_begins_anew_and_says_so(
    harm: str, stopped: Path, whole: dict[str, StreamResult]
) -> None:
    parts = sorted((stopped / WORK).glob("part-*"))
    if harm == "lost part":
        parts[0].unlink()
    elif harm == "swapped parts":
        first, second = (path.read_bytes() for path in parts)
        parts[0].write_bytes(second)
        parts[1].write_bytes(first)
    else:
        flip_bit(stopped / STATE if harm == "state" else parts[0], 300)
    report = answer("verify", "--bank", stopped)
    assert report["ok"] is True
    assert any("supsup tasks clean stream-0" in hint for hint in report["hints"])
    result, said = learn_to_the_end(stopped)
    assert digests(result) == digests(whole["loss"])
    assert len(said) == 1
    assert said[0].endswith("; learning starts anew")
    assert str(stopped / WORK) in said[0]


@pytest.mark.parametrize("name", ["masks", "current", "decisions/batch", "decisions/new"])
def test_a_resealed_state_of_another_form_begins_anew(
    name: str, stopped: Path, whole: dict[str, StreamResult]
) -> None:
    tensors, metadata = unseal((stopped / STATE).read_bytes(), "state")
    (stopped / STATE).write_bytes(seal(tensors | {name: tensors[name][None]}, metadata))  # type: ignore[index]
    result, said = learn_to_the_end(stopped)
    assert digests(result) == digests(whole["loss"])
    assert f"state {name}: " in said[0]


def test_another_stream_of_the_name_begins_anew(stopped: Path) -> None:
    words = [word if word != 15 else 20 for word in WORDS]
    document = answer(*words, "--bank", stopped)
    assert [one["status"] for one in document["tasks"]] == ["learned", "learned"]
    assert list((stopped / "work").iterdir()) == []


def test_a_stopped_stream_is_cleaned_up_by_command(stopped: Path) -> None:
    assert answer("tasks", "clean", "--bank", stopped, "--yes")["tasks"][0]["task"] == "stream-0"
    assert list((stopped / "work").iterdir()) == []


def test_a_stream_that_another_process_learns_is_refused_at_once(stopped: Path) -> None:
    with Bank.open(stopped).work.claim("stream-0"):
        ran = run(*WORDS, "--bank", stopped, "--json")
    assert (ran.code, ran.error["code"]) == (11, "locked")
    assert str(os.getpid()) in ran.error["message"]


def test_a_disk_that_keeps_no_state_is_told_once_and_the_stream_is_learned(
    fresh: Path, whole: dict[str, StreamResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))

    monkeypatch.setattr(checkpoints, "_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoints, "_SHARE", float("inf"))
    with monkeypatch.context() as patch:
        patch.setattr(system_calls, "rename", refuse)
        error = stop_after(fresh, 5)
        assert f"at batch 5 of {TOTAL}, which could not be saved" in error.message
        result, said = learn_to_the_end(fresh)
    assert digests(result) == digests(whole["loss"])
    assert len(said) == 1
    assert "learning continues, but cannot be resumed" in said[0]
