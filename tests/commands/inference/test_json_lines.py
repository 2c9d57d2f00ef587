"""`--json-lines`: one answer a line, as soon as it is decided, in the order of the inputs."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import answer, run

COMMANDS = ("predict", "infer-task")


def start(bank: Path, command: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "supsup_cli", command, "--bank", str(bank), "--json-lines", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def piped(bank: Path, command: str, text: str, *words: str) -> tuple[int, list[Any]]:
    process = start(bank, command, *words, "-")
    out, _ = process.communicate(text, timeout=120)
    return process.returncode, [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def files(images: Path) -> list[str]:
    return [str(path) for path in sorted((images / "perm-0").rglob("*.png"))[:4]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_line_is_one_answer_in_its_place(bank: Path, files: list[str], command: str) -> None:
    folder = str(Path(files[0]).parent)
    asked = [files[0], "", folder, "gone.png", files[0], "x" * 300, files[1]]
    code, answers = piped(bank, command, "\n".join(asked))  # the last line has no end
    assert code == 3
    assert [one["source"] for one in answers] == asked
    errors = [one["error"] for one in answers]
    assert errors[0] is errors[4] is errors[6] is None
    assert "blank line" in errors[1]
    assert "a folder" in errors[2]
    assert "No such file" in errors[3]
    assert "name too long" in errors[5]
    assert answers[0] == answers[4]


@pytest.mark.parametrize("command", COMMANDS)
def test_answers_are_those_of_one_document(bank: Path, files: list[str], command: str) -> None:
    code, answers = piped(bank, command, "\n".join(files) + "\n")
    assert code == 0
    results = answer(command, "--bank", bank, *files)["results"]
    for one, other in zip(answers, results, strict=True):
        assert (one["source"], one["task"]) == (other["source"], other["task"])
        assert one.keys() == other.keys()


def test_each_is_answered_before_the_next_is_asked(bank: Path, files: list[str]) -> None:
    process = start(bank, "predict", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    for path in [*files, *files]:
        process.stdin.write(path + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["source"] == path
    process.stdin.close()
    assert process.wait(60) == 0


def test_a_mark_at_the_start_and_other_line_ends_are_no_part_of_a_name(
    bank: Path, files: list[str]
) -> None:
    code, answers = piped(bank, "predict", "\ufeff" + "\r\n".join(files) + "\r\n")
    assert code == 0
    assert [one["source"] for one in answers] == files


def test_files_and_names_of_data_are_streamed_too(bank: Path, files: list[str]) -> None:
    ran = run("predict", "--bank", bank, "--json-lines", *files)
    assert [json.loads(line)["source"] for line in ran.out.splitlines()] == files
    ran = run("infer-task", "--bank", bank, "--json-lines", "--data", "mnist-perm-0", "--limit", 3)
    assert len(ran.out.splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--group", "all"), "--group all with --json-lines"),
        (("--group", "folder"), "--group folder with --json-lines"),
        (("--json",), "--json with --json-lines"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_does_not_go_with_it_is_refused(
    bank: Path, files: list[str], command: str, words: tuple[str, ...], message: str
) -> None:
    ran = run(command, "--bank", bank, "--json-lines", *words, files[0])
    assert ran.code == 2
    last = json.loads(ran.out.splitlines()[-1])
    assert (last["ok"], last["error"]["exit"]) == (False, 2)
    assert message in last["error"]["message"]


@pytest.mark.parametrize(
    ("words", "beside", "hint"),
    [
        (("--data", "mnist-perm-1", "-"), "--data mnist-perm-1", "by a command of its own"),
        (("--limit", 1, "-"), "--limit 1", "leave --limit out"),
        (("--limit", 0, "-"), "--limit 0", "leave --limit out"),
        (("-", "x.png"), "x.png", "write x.png as a line"),
        (("x.png", "-"), "x.png", "write x.png as a line"),
        (("-", "-"), "-", "give - once"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_list_that_is_answered_as_it_comes_stands_alone(
    bank: Path,
    files: list[str],
    command: str,
    words: tuple[object, ...],
    beside: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{files[0]}\n"))
    ran = run(command, "--bank", bank, "--json-lines", *words)
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert ran.error["message"] == f"{beside} beside - with --json-lines: expected - alone"
    assert hint in ran.error["hint"]


def test_without_it_a_list_may_have_others_beside_it(
    bank: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, count in ((("-", files[0]), 3), (("--limit", 1, "-"), 1)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{files[1]}\n{files[2]}\n"))
        assert len(answer("predict", "--bank", bank, *words)["results"]) == count


@pytest.mark.parametrize("length", [40_000, 65_535])
def test_a_line_that_is_too_long_ends_it_after_the_answers_before(
    bank: Path, files: list[str], length: int
) -> None:
    code, answers = piped(bank, "predict", f"{files[0]}\n{'x' * length}\n{files[1]}\n")
    assert code == 2
    first, last = answers
    assert first["source"] == files[0]
    assert last["error"]["message"].startswith("-: a line of more than 32,768 bytes")


@pytest.mark.parametrize("top", [0, -1])
def test_no_score_at_all_is_refused(bank: Path, files: list[str], top: int) -> None:
    words = ("infer-task", "--bank", bank, "--top", top, files[0])
    for ran in (run(*words, "--json"), run(*words, "--json-lines")):
        assert (ran.code, ran.error["message"]) == (2, f"--top {top}: expected at least 1")


def test_under_torchrun_what_is_done_exits_0_and_a_note_has_the_code(
    bank: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("predict", "--bank", bank, "--json-lines", files[0], "gone.png")
    alone = run(*words)
    for name, value in (("RANK", 0), ("WORLD_SIZE", 2), ("LOCAL_RANK", 0)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    shared = run(*words)
    assert (alone.code, shared.code, shared.out) == (3, 0, alone.out)
    assert shared.err == "supsup: this would end with 3 without torchrun\n"


def test_a_fatal_error_is_one_last_line(tmp_path: Path) -> None:
    ran = run("predict", "--bank", tmp_path, "--json-lines", "-")
    (last,) = map(json.loads, ran.out.splitlines())
    assert (ran.code, last["ok"], last["error"]["code"]) == (10, False, "no-bank")


def test_a_closed_pipe_ends_it_with_0(bank: Path, files: list[str]) -> None:
    process = start(bank, "predict", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(files[0] + "\n")
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    process.stdin.write(files[1] + "\n")
    process.stdin.close()
    assert process.wait(60) == 0


def test_an_interrupt_ends_it_with_130(bank: Path, files: list[str]) -> None:
    process = start(bank, "predict", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(files[0] + "\n")
    process.stdin.flush()
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    last = json.loads(process.stdout.read().splitlines()[-1])
    assert (last["ok"], last["error"]["exit"]) == (False, 130)


def test_a_task_committed_meanwhile_is_seen_at_the_next_start(
    own_bank: Path, files: list[str]
) -> None:
    process = start(own_bank, "infer-task", "--top", "9", "--method", "exhaustive", "-")
    assert process.stdin is not None
    assert process.stdout is not None

    def scored() -> set[str]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(files[0] + "\n")
        process.stdin.flush()
        return {task for task, _ in json.loads(process.stdout.readline())["scores"]}

    before = scored()
    answer("tasks", "copy", "mnist-perm-1", "--from", own_bank, "--as", "again", "--bank", own_bank)
    assert scored() == before
    process.stdin.close()
    process.wait(60)
    _, answers = piped(
        own_bank, "infer-task", files[0] + "\n", "--top", "9", "--method", "exhaustive"
    )
    assert {task for task, _ in answers[0]["scores"]} == before | {"again"}
