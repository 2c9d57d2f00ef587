"""Pipes, terminals of any width, and colours as the user's environment asks."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from supsup_cli.tables.layout import Table, laid_out
from tests.support.commands import ROOT, answer, run_apart

ESCAPE = "\x1b"
ASKED = (
    {"FORCE_COLOR": "1"},
    {"FORCE_COLOR": "1", "NO_COLOR": "1"},
    {"FORCE_COLOR": "1", "TERM": "dumb"},
    {"TERM": "dumb", "COLUMNS": "20"},
    {"TTY_COMPATIBLE": "1", "CLICOLOR_FORCE": "1", "COLUMNS": "30"},
)
NAME = "a-name-of-as-many-as-sixty-four-characters-which-is-the-most-0123"


def on_terminal(columns: int, environment: dict[str, str], *words: object) -> str:
    """Run a command on a terminal of the given number of columns; return what it shows."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "supsup_cli", *map(str, words)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns), **environment},
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # this is how a terminal ends on Linux
        while piece := os.read(ours, 1 << 16):
            shown += piece
    os.close(ours)
    _, told = process.communicate(timeout=120)
    assert (process.returncode, told) == (0, b"")
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("environment", ASKED, ids=" ".join)
@pytest.mark.parametrize("command", [("tasks",), ("tasks", "show", "mnist-perm-0"), ("stats",)])
def test_piped_rows_are_whole_and_plain(
    command: tuple[str, ...], environment: dict[str, str], bank: Path
) -> None:
    plain = run_apart(*command, "--bank", bank)
    asked = run_apart(*command, "--bank", bank, environment=environment)
    assert (asked.code, asked.err) == (0, "")
    assert asked.out == plain.out
    assert ESCAPE not in asked.out


@pytest.mark.parametrize("columns", [80, 40])
def test_no_name_and_no_digest_is_broken_on_a_narrow_terminal(columns: int, bank: Path) -> None:
    tasks = answer("tasks", "show", "mnist-perm-0", "mnist-split-3", "--bank", bank)["tasks"]
    listed = on_terminal(columns, {}, "tasks", "--bank", bank)
    shown = on_terminal(columns, {}, "tasks", "show", "mnist-perm-0", "--bank", bank)
    for task in tasks:
        assert re.search(rf"^{task['task']}  ", listed, re.MULTILINE)
    for name in ("content_sha256", "base_sha256", "data_digest"):
        assert tasks[0][name] in shown
    assert str(bank / tasks[0]["file"]) in shown or tasks[0]["file"] in shown
    rows = [re.sub(r"\x1b\[\d*m", "", row) for row in listed.splitlines()]
    assert max(map(len, rows)) <= columns
    assert len(rows) > 5  # the head and four tasks: some continued on a second line
    assert all(row == row.rstrip() for row in rows)


@pytest.mark.parametrize(
    ("environment", "bold"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
     ({"TERM": "dumb"}, False), ({"TERM": "dumb", "FORCE_COLOR": "1"}, False)],
)  # fmt: skip
def test_a_terminal_has_a_bold_head_unless_it_asks_for_none(
    environment: dict[str, str], bold: bool, bank: Path
) -> None:
    shown = on_terminal(200, environment, "tasks", "--bank", bank)
    assert (ESCAPE in shown) == bold
    assert shown.count(ESCAPE) in (0, 2)


def test_wide_enough_every_row_is_one_line_in_columns() -> None:
    table = Table(("task", "size", "what"), (("b", "7 B", "words"), (NAME, "1,234 B", "more")))
    wide = list(laid_out(table, None))
    assert wide == list(laid_out(table, 90))
    assert wide[1] == f"b{' ' * 64}      7 B  words"
    assert wide[2] == f"{NAME}  1,234 B  more"


def test_words_of_a_last_column_are_set_under_one_another() -> None:
    text = "many words that a narrow terminal cannot show in one line"
    table = Table(("what", "found"), (("threads", text), ("digest", "ab" * 15)))
    told = list(laid_out(table, 42))
    assert told[1] == "threads  many words that a narrow terminal"
    assert told[2] == "         cannot show in one line"
    assert told[3] == f"digest   {'ab' * 15}"


def test_characters_of_two_columns_are_counted_as_two() -> None:
    table = Table(("task", "n"), (("日本", "1"), ("pets", "2")))
    assert list(laid_out(table, None)) == ["task  n", "日本  1", "pets  2"]


def test_control_characters_of_names_never_reach_a_terminal() -> None:
    (_, row) = laid_out(Table(("file",), (("a\x1b[2Jb\nc",),)), 40)
    assert row == "a\\x1b[2Jb\\nc"
