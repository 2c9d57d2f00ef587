"""Names that would leave the folder or control the terminal: refused, and printed safely."""

import io
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from supsup_cli.output import Terminal
from supsup_cli.printable import printable
from tests.support.commands import SMALL, answer, make_class_folder, run, run_apart

HOSTILE = {
    "upwards": "../x",
    "nested": "a/b",
    "absolute": "/etc/passwd",
    "markup": "[red]x",
    "line break": "x\n",
    "two lines": "x\nsupsup: done",
    "300 characters": "x" * 300,
    "100,000 characters": "y" * 100_000,
    "non-ASCII": "naïve",
    "empty": "",
    "dot": ".",
    "two dots": "..",
    "dash": "-x",
    "NUL": "a\0b",
    "no text": "x\udcff",
    "no byte either": "x\ud800",
    "terminal escape": "x\x1b]0;owned\x07",
    "one-byte escape": "x\x9b31m",
    "written backwards": "x\u202egnp.exe",
    "upper case": "Dogs",
    "digits of others": "mnist-perm-٣",
}
TASKS = {
    "--name": ("learn-task", "--data", "mnist-perm-9", "--name", "{}"),
    "--task": ("predict", "--data", "mnist-perm-0", "--task", "{}"),
    "--tasks": ("evaluate", "--tasks", "{}"),
    "show": ("tasks", "show", "--", "{}"),
    "remove": ("tasks", "remove", "--yes", "--missing-ok", "--", "{}"),
    "copy": ("tasks", "copy", "--from", "{bank}", "--", "{}"),
    "--as": ("tasks", "copy", "mnist-perm-0", "--from", "{bank}", "--as", "{}"),
    "export": ("tasks", "export", "--", "{}", "{folder}/file"),
    "clean": ("tasks", "clean", "--yes", "--", "{}"),
    "--data of learn-task": ("learn-task", "--data", "{}"),
    "--data of infer-task": ("infer-task", "--data", "{}"),
    "data export": ("data", "export", "--", "{}", "{folder}/images"),
}


def is_tame(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def check_refused(words: list[str]) -> None:
    told = run(*words)
    assert (told.code, told.out) == (2, ""), (words, told)
    assert is_tame(told.err)
    assert [line[:8] for line in told.err.splitlines()] == ["supsup: ", "  hint: "]
    assert len(told.err) < 2000 + 2 * sum(map(len, words[:-1]))
    at = words.index("--") if "--" in words else len(words)
    silent = run(*words[:at], "--json", *words[at:])
    assert (silent.err, silent.error["exit"]) == ("", 2)
    assert is_tame(silent.out)


@pytest.mark.parametrize("use", TASKS)
def test_a_hostile_name_is_refused_everywhere(
    use: str, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "empty" / "too"  # so that ".." is a folder without images
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("SUPSUP_BANK", str(bank))
    before = sorted(bank.rglob("*"))
    for name in HOSTILE.values():
        words = [
            word.replace("{bank}", str(bank)).replace("{folder}", str(here)).replace("{}", name)
            for word in TASKS[use]
        ]
        check_refused(words)
    assert sorted(bank.rglob("*")) == before
    assert sorted(tmp_path.rglob("*")) == [here.parent, here]


@pytest.mark.parametrize(
    "words",
    [
        ("tasks", "--bank"),
        ("init-base", "--bank"),
        ("tasks", "copy", "x", "--from"),
        ("tasks", "export", "mnist-perm-0"),
        ("data", "export", "mnist"),
        ("stats", "--plot"),
        ("predict", "x.png", "--sheet"),
        ("predict", "x.png", "--sort"),
    ],
)
@pytest.mark.parametrize("path", ["a\0b", "x\ud800"])
def test_paths_that_no_file_can_have_are_refused(
    words: tuple[str, ...], path: str, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPSUP_BANK", str(bank))
    check_refused([*words, path])


ODD_FOLDERS = [
    "[red]x",
    "x\ny",
    "x\x1b[31m",
    "é 猫",
    "x\u202ey",
    "x\udcff",
    "-x",
    "a" * 200,
    "'\"$(x)",
]


@pytest.mark.parametrize("folder", ODD_FOLDERS)
def test_a_banks_path_may_be_odd_and_is_printed_tamely(folder: str, tmp_path: Path) -> None:
    bank = tmp_path / folder
    for words in (
        ("init-base", *SMALL),
        ("tasks",),
        ("stats",),
        ("verify",),
        ("tasks", "show", "none"),
        ("tasks", "clean"),
        ("infer-task", "x.png"),
    ):
        ran = run(*words, f"--bank={bank}")
        assert ran.code == (2 if "none" in words or "x.png" in words else 0), ran
        assert is_tame(ran.out)
        assert is_tame(ran.err)
    assert answer("init-base", *SMALL, f"--bank={bank}")["bank"] == str(bank)
    missing = run("tasks", f"--bank={bank}/none")
    assert missing.code == 10
    assert is_tame(missing.err)


CLASSES = {"[red]cat": 0, "do\u202eg": 14}


@pytest.fixture(scope="module")
def odd_task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bank with a task that has odd names of classes and files, and the folder."""
    place = tmp_path_factory.mktemp("odd")
    folder = make_class_folder(place / "pets", CLASSES)
    for number, name in enumerate(("[bold]\x1b[1m.png", "a\nb.png", os.fsdecode(b"\xff.png"))):
        (folder / "[red]cat" / f"{number:03d}.png").rename(folder / "[red]cat" / name)
    (folder / "[red]cat" / "broken\x1b[2J.png").write_bytes(b"no image")
    assert run("init-base", "--bank", place / "bank", *SMALL).code == 0
    return place / "bank", folder


def test_names_of_classes_and_files_are_printed_as_they_are_or_escaped(
    odd_task: tuple[Path, Path],
) -> None:
    bank, folder = odd_task
    learned = run("learn-task", "--bank", bank, "--data", folder, "--steps", 60)
    assert learned.code == 3
    for words in (
        ("predict", folder, "--task", "pets"),
        ("infer-task", folder),
        ("infer-task", folder, "--group", "folder"),
        ("predict", "--data", folder),
        ("evaluate",),
        ("tasks", "show", "pets"),
    ):
        told = run(*words, "--bank", bank)
        assert told.code in (0, 3)
        assert is_tame(told.out), words
        assert is_tame(told.err), words
        silent = run(*words, "--bank", bank, "--json")
        assert is_tame(silent.out)
    shown = run("tasks", "show", "pets", "--bank", bank).out
    assert "[red]cat -> 0, do\\u202eg -> 1" in shown
    document = answer("tasks", "show", "pets", "--bank", bank)
    assert [one["name"] for one in document["tasks"][0]["class_names"]] == list(CLASSES)
    labels = {one["label"] for one in run_json("predict", folder, "--bank", bank)["results"]}
    assert labels <= {*CLASSES, None}


def run_json(*words: object) -> dict[str, list[dict[str, object]]]:
    document = run(*words, "--json").json
    assert isinstance(document, dict)
    return document


def test_a_folder_that_no_task_can_record_is_refused_before_learning(
    tmp_path: Path, bank: Path
) -> None:
    for name in ("pe\nts", "pe\x1bts", os.fsdecode(b"pets\xff")):
        folder = make_class_folder(tmp_path / name / "pets", {"a": 0, "b": 9}, each=2)
        check_refused(["learn-task", "--name", "pets", "--bank", str(bank), "--data", str(folder)])


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_progress_bar_shows_text_and_no_markup() -> None:
    with redirect_stderr(_Screen()) as screen:
        terminal = Terminal(as_json=False, quiet=False)
        with terminal.track("[red]x\x1b]0;y\x07 \u202ez", 3, "images") as advance:
            advance(3)
        terminal.note("[red]n\x1b[1m")
    assert "[red]x\\x1b]0;y\\x07 \\u202ez" in screen.getvalue()
    assert "[red]n\\x1b[1m" in screen.getvalue()
    assert "\x1b]0" not in screen.getvalue()


def test_delete_is_escaped_in_documents(tmp_path: Path) -> None:
    ran = run("tasks", "--bank", tmp_path / "a\x7fb", "--json")
    assert "\x7f" not in ran.out
    assert "a\x7fb" in ran.error["message"]


def test_a_terminal_that_knows_ascii_only_gets_ascii(tmp_path: Path) -> None:
    words = ("data", "export", "mnist", tmp_path / "é猫", "--limit", 1)
    ran = run_apart(*words, environment={"PYTHONIOENCODING": "ascii"})
    assert (ran.code, ran.err) == (0, "")
    assert "/\\xe9\\u732b/" in ran.out


def test_printable_keeps_what_can_be_read_and_escapes_the_rest() -> None:
    assert printable("plain é 猫 [red]") == "plain é 猫 [red]"
    for code in (*range(0x3000), *range(0xD7F0, 0xE010), *range(0xE0000, 0xE0100), sys.maxunicode):
        character = chr(code)
        shown = printable(character)
        assert shown.isprintable()
        assert shown == character or shown.startswith("\\")
