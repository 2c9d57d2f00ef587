"""The command line's contract: documents, error lines, exit codes, defaults, help."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer

from supsup_cli.cli import app
from tests.support.commands import SMALL, answer, flip_bit, run, run_apart

SHARE = (int, float)
TASK = {"task": str, "bytes": int, "density": float, "accuracy": SHARE}
LEARNED = TASK | {"kind": str, "status": str, "steps": int, "seconds": SHARE, "content_sha256": str}
SHARES = {
    "accuracy_given": SHARE,
    "accuracy_inferred": SHARE,
    "accuracy_inferred_shared": SHARE,
    "task_accuracy": SHARE,
    "false_alarms": SHARE,
}
PREDICTED = {"source": str, "task": str, "known": bool, "label": str, "probability": float}
INFERRED = {"source": str, "images": int, "task": str, "known": bool, "scores": [[str, float]]}
DECIDED = {"method": str, "objective": str, "group": str, "seconds": SHARE}
NO_ERROR = {"error": type(None)}
DOCUMENTS: dict[str, tuple[tuple[object, ...], dict[str, Any]]] = {
    "init-base": (
        SMALL,
        {"bank": str, "status": str, "arch": str, "parameters": int, "outputs": int}
        | {"seed": int, "base_sha256": str, "bytes": int},
    ),
    "learn-task": (("--data", "mnist-perm-0", "--steps", 60), {"tasks": [LEARNED]}),
    "infer-task": (
        ("--data", "mnist-perm-0", "--limit", 2),
        {"results": [INFERRED | NO_ERROR], **DECIDED},
    ),
    "predict": (
        ("--data", "mnist-perm-0", "--limit", 2),
        {"results": [PREDICTED | NO_ERROR], "sheets": [], "sorted_images": []},
    ),
    "evaluate": (
        ("--limit", 20, "--group-sizes", "1,2"),
        {
            "tasks": [{"task": str, "images": int, **SHARES}],
            "mean": SHARES,
            "by_group": [{"group": int, **SHARES}],
            "confusion": [{"task": str, "named": str, "images": int}],
            "plot": type(None),
            "csv": type(None),
            **DECIDED,
        },
    ),
    "stats": (
        (),
        {
            "tasks": int,
            "parameters": int,
            "bytes": {"base": int, "masks": int, "hopfield": int, "total": int},
            "bits_per_weight": float,
            "per_task": [TASK | {"kind": str, "created": str}],
        },
    ),
    "tasks": ((), {"tasks": [TASK]}),
    "verify": ((), {"ok": bool, "problems": [], "hints": []}),
}


def _check(value: Any, shape: Any, place: str = "document") -> None:
    if isinstance(shape, dict):
        for key, part in shape.items():
            assert key in value, f"{place} lacks {key}"
            _check(value[key], part, f"{place}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        assert bool(value) == bool(shape), place
        for one in value:
            if isinstance(shape[0], list):
                assert [type(part) for part in one] == shape[0], place
            else:
                _check(one, shape[0], place)
    else:
        assert isinstance(value, shape), f"{place} is {type(value)}"
        assert isinstance(value, bool) == (shape is bool), place


@pytest.mark.parametrize("command", DOCUMENTS)
def test_every_command_answers_with_its_keys(command: str, bank: Path) -> None:
    words, shape = DOCUMENTS[command]
    _check(answer(command, "--bank", bank, *words), shape)


def test_data_answers_with_its_keys(tmp_path: Path) -> None:
    form = {"name": str, "meaning": str, "classes": int, "train": int, "test": int}
    _check(answer("data", "list"), {"data": [form]})
    document = answer("data", "export", "mnist", tmp_path / "images", "--limit", 3)
    assert len(document["files"]) == 3
    assert all(Path(file).is_file() for file in document["files"])


@pytest.mark.parametrize("command", [name for name in DOCUMENTS if name != "init-base"])
def test_no_bank(command: str, tmp_path: Path) -> None:
    words = (command, "--bank", tmp_path / "none", *DOCUMENTS[command][0])
    told = run(*words)
    first, hint = told.err.splitlines()
    assert (told.code, told.out) == (10, "")
    assert first == f"supsup: {tmp_path}/none: no bank.json found, expected a bank"
    assert hint == f"  hint: supsup init-base --bank {tmp_path}/none"
    silent = run(*words, "--json")
    assert silent.err == ""
    assert silent.error == {
        "code": "no-bank",
        "exit": 10,
        "message": first.removeprefix("supsup: "),
        "hint": hint.removeprefix("  hint: "),
    }


def test_a_taken_name_a_strange_base_and_damage_have_their_own_codes(
    own_bank: Path, tmp_path: Path
) -> None:
    task = own_bank / "masks" / "mnist-perm-0.safetensors"
    learn = ("learn-task", "--bank", own_bank, "--data", "mnist-perm-0", "--json")
    assert run(*learn, "--steps", 60).json["tasks"][0]["status"] == "exists"
    assert run(*learn, "--steps", 61).error["code"] == "name-taken"
    assert run(*learn, "--steps", 61).code == 11
    assert run("init-base", "--bank", own_bank, "--json").error["code"] == "name-taken"

    stranger = tmp_path / "stranger"
    answer("init-base", "--bank", stranger, *SMALL, "--seed", 1)
    (stranger / "masks").mkdir(exist_ok=True)
    shutil.copy(task, stranger / "masks")
    for command in ("tasks", "stats", "evaluate"):
        ran = run(command, "--bank", stranger, "--json")
        assert (ran.code, ran.error["code"]) == (12, "other-base")
    assert run("verify", "--bank", stranger).code == 12

    flip_bit(task, 300)
    ran = run("tasks", "show", "mnist-perm-0", "--bank", own_bank, "--json")
    assert (ran.code, ran.error["code"]) == (5, "damaged")


def test_the_bank_is_the_option_then_the_variable_then_the_folder_bank(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert answer("init-base", *SMALL)["bank"] == "bank"
    assert (tmp_path / "bank" / "bank.json").is_file()
    assert answer("tasks")["tasks"] == []
    monkeypatch.setenv("SUPSUP_BANK", str(bank))
    assert len(answer("tasks")["tasks"]) == 4
    assert answer("tasks", "--bank", "bank")["tasks"] == []


def test_progress_and_notes_stay_away_from_stdout_and_quiet_has_none(tmp_path: Path) -> None:
    answer("init-base", "--bank", tmp_path / "bank", "--arch", "mlp-8", "--outputs", 12)
    words = ("learn-task", "--bank", tmp_path / "bank", "--steps", 2, "--data")
    loud = run(*words, "mnist-perm-0")
    assert loud.err == (
        "supsup: task mnist-perm-0: 2 superfluous outputs for 10 classes; with fewer than 9 for "
        "each class the task is harder to infer\n"
    )
    assert "superfluous" not in loud.out
    quiet = run(*words, "mnist-perm-1", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert "mnist-perm-1" in quiet.out


def test_every_command_and_option_has_help() -> None:
    waiting = [("supsup", typer.main.get_command(app))]
    names = set()
    while waiting:
        name, command = waiting.pop()
        assert command.help, name
        names.add(name)
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
        commands = getattr(command, "commands", {})
        waiting += [(f"{name} {short}", each) for short, each in commands.items()]
        path = name.split()[1:]
        helped = run(*path, "--help")
        assert (helped.code, helped.err) == (0, "")
        assert f"Usage: {name}" in helped.out
        if not commands:
            assert {"--json", "--quiet", "--debug"} <= {
                option for parameter in command.params for option in parameter.opts
            }, name
    assert {f"supsup {name}" for name in DOCUMENTS} <= names


def test_no_command_prints_the_help() -> None:
    for words in ((), ("data",)):
        ran = run(*words)
        assert (ran.code, ran.err) == (2, "")
        assert "Usage: supsup" in ran.out


def test_names_of_files_are_neither_markup_nor_control_characters(
    bank: Path, images: Path, tmp_path: Path
) -> None:
    good = next((images / "split-3").rglob("*.png")).read_bytes()
    (tmp_path / "[red]x\x1b[31m.png").write_bytes(good)
    (tmp_path / "[bold]text\x1b]0;.png").write_text("no image")
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(good)
    for command in ("infer-task", "predict"):
        told = run(command, "--bank", bank, tmp_path)
        assert (told.code, told.err) == (3, "")
        assert "\x1b" not in told.out
        assert "/[red]x\\x1b[31m.png  mnist-split-3" in told.out
        assert "/[bold]text\\x1b]0;.png  error: " in told.out
        told.out.encode()
        silent = run(command, "--bank", bank, tmp_path, "--json")
        assert silent.code == 3
        assert [Path(one["source"]).name for one in silent.json["results"]] == sorted(
            path.name for path in tmp_path.iterdir()
        )
    missing = run("infer-task", "--bank", bank, "\x1b]0;.png")
    assert missing.err.startswith("supsup: \\x1b]0;.png: no such file")


def test_an_unexpected_error_is_one_line_unless_debug(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> None:
        raise RuntimeError("boiled over")

    monkeypatch.setattr("supsup_cli.workflows.tasks.list.list_tasks", broken)
    told = run("tasks", "--bank", bank)
    assert (told.code, told.out) == (1, "")
    assert told.err.splitlines()[0] == "supsup: RuntimeError: boiled over"
    assert run("tasks", "--bank", bank, "--json").error["code"] == "unexpected"
    with pytest.raises(RuntimeError, match="boiled over"):
        run("tasks", "--bank", bank, "--debug")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk_behind_stdout_exits_13(bank: Path, form: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = run_apart("stats", "--bank", bank, *form, stdout=full)
    assert ran.code == 13
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_has_gone_is_no_error(bank: Path, form: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        ran = run_apart("stats", "--bank", bank, *form, stdout=pipe)
    assert (ran.code, ran.err) == (0, "")
