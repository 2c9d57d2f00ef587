"""The standard streams: closed, full, silent. A command does its work all the same."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from supsup_cli.workflows.tasks import list as listing
from tests.support.commands import ROOT, Ran, run, run_apart


def shell(line: str, bank: Path) -> Ran:
    """Run a line of shell in which $S is supsup and $B the bank."""
    words = f'S="{sys.executable} -m supsup_cli"; B="{bank}"; {line}'
    done = subprocess.run(
        ["bash", "-c", words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_text_for_people_may_have_no_stdout(bank: Path) -> None:
    assert shell("$S tasks --bank $B >&-", bank) == Ran(0, "", "")


@pytest.mark.parametrize("command", ["tasks", "stats", "verify", "predict --data mnist-split-3"])
def test_a_document_that_is_lost_exits_13(command: str, bank: Path) -> None:
    ran = shell(f"$S {command} --bank $B --json >&-", bank)
    assert ran.code == 13
    assert ran.err.splitlines()[0] == (
        "supsup: standard output: closed, and the document that --json asks for is lost"
    )
    assert "Traceback" not in ran.err


def test_an_error_without_stdout_keeps_its_code(bank: Path) -> None:
    ran = shell("$S tasks --bank $B/nothing --json >&-", bank)
    assert ran.code == 10
    assert ran.err.startswith("supsup: ")


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "", "learn-task --help", "tasks --help", "tasks --bank $B",
     "tasks --bank $B --json", "data list", "stats --bank $B", "predict --data mnist-split-3 "
     "--bank $B", "doctor --bank $B"],
)  # fmt: skip
def test_a_pipe_that_is_closed_is_no_error(words: str, bank: Path) -> None:
    ran = shell(f"$S {words} | head -0; exit ${{PIPESTATUS[0]}}", bank)
    assert ran == Ran(0, "", "")


def test_an_error_whose_reader_has_gone_keeps_its_code(bank: Path) -> None:
    ran = shell("$S tasks --bank $B/nothing 2>&1 >&- | head -0; exit ${PIPESTATUS[0]}", bank)
    assert ran == Ran(10, "", "")


def test_a_closed_stdin_is_an_empty_list(bank: Path) -> None:
    ran = shell("$S infer-task --bank $B - <&-", bank)
    assert ran.code == 2
    assert "standard input is empty" in ran.err


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_help_on_a_full_disk_exits_13(words: str, bank: Path) -> None:
    ran = shell(f"$S {words} >/dev/full", bank)
    assert ran.code == 13
    assert "Traceback" not in ran.err


def test_an_error_that_stdout_cannot_take_goes_to_stderr(bank: Path) -> None:
    ran = shell("$S tasks --bank $B/nothing --json >/dev/full", bank)
    assert ran.code == 10
    assert ran.err.startswith("supsup: ")
    assert "Traceback" not in ran.err


def test_quiet_learning_says_nothing_on_stderr(own_bank: Path) -> None:
    ran = run_apart(
        "learn-task", "--bank", own_bank, "--data", "mnist-perm-9", "--steps", 2, "--quiet"
    )
    assert (ran.code, ran.err) == (0, "")


def test_an_error_of_another_file_is_not_blamed_on_stdout(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", "some-file")

    monkeypatch.setattr(listing, "list_tasks", refuse)
    error = run("tasks", "--bank", bank, "--json").error
    assert (error["exit"], error["code"]) == (13, "storage")
    assert error["message"] == "some-file: Input/output error"


def test_names_on_stdin_may_be_any_bytes(bank: Path) -> None:
    line = (
        r"printf 'caf\xe9.png\n' | PYTHONIOENCODING=utf-8:strict $S infer-task --bank $B - --json"
    )
    ran = shell(line, bank)
    assert ran.error["code"] == "no-input"


def test_an_error_that_stderr_cannot_take_keeps_its_code(bank: Path) -> None:
    """Nothing is left in a buffer that would fail again at the end, which would be exit 120."""
    assert shell("$S tasks --bank $B/nothing 2>/dev/full", bank) == Ran(10, "", "")
