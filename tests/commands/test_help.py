"""Help: examples that run, panels, words that are listed, completed and corrected."""

import re
import shlex
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import typer

from supsup_cli import choices
from supsup_cli.cli import app
from tests.support.commands import answer, learn, make_class_folder, run, run_apart

# Shortens an example without another meaning, because learning takes long.
SHORTER = {
    "learn-task": ("--steps", "2"),
    "learn-stream": ("--visit", "3", "--check-every", "2"),
    "compare": ("--steps", "2", "--limit", "5", "--arch", "mlp-8", "--rates", "fixed"),
    "evaluate": ("--limit", "5"),
}


def commands(command: Any = None, name: str = "supsup") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its name."""
    command = command or typer.main.get_command(app)
    below = getattr(command, "commands", {})
    if not below or (command.invoke_without_command and name != "supsup"):
        yield name, command
    for short, one in below.items():
        yield from commands(one, f"{name} {short}")


def examples(command: Any) -> list[str]:
    """List the examples at the end of a command's help."""
    head, *lines = command.epilog.splitlines()
    assert head == "Examples:"
    return [line.strip() for line in lines]


COMMANDS = dict(commands())
EXAMPLES = [line for command in COMMANDS.values() for line in examples(command)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_of_itself_on_one_line(name: str) -> None:
    shown = examples(COMMANDS[name])
    assert 1 <= len(shown) <= 3
    helped = run(*name.split()[1:], "--help").out
    for line in shown:
        assert line.startswith(f"{name} ") or line == name
        assert f" {line} " in helped


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples need: photos, class folders, banks."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("pets", "cats", "dogs"):
        make_class_folder(folder / name, {"one": 0, "two": 14}, each=20)
    make_class_folder(folder / "moved" / "pets", {"one": 0, "two": 14}, each=20)
    make_class_folder(folder, {"photos": 5}, each=2)
    (folder / "photos" / "000.png").rename(folder / "photos" / "1.png")
    answer("init-base", "--bank", folder / "other.bank")
    learn(folder / "other.bank", "mnist-perm-0", steps=2)
    units = ("--arch", "units-8-8", "--outputs", 20)
    answer("init-base", "--bank", folder / "units.bank", *units)
    learn(folder / "units.bank", "mnist-split-0", steps=20)
    with chdir(folder):
        for line in (line for line in EXAMPLES if line.split()[1] in ("init-base", "learn-task")):
            _run(line)
    return folder


def _run(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "supsup"
    ran = run(*words, *SHORTER.get(words[0], ()))
    assert ran.code == 0, ran


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_runs(line: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    _run(line)


def test_in_a_folder_without_a_bank_no_command_prints_three_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run()
    assert (ran.code, ran.err) == (2, "")
    lines = re.findall(r"^  (supsup .*?)  +#", ran.out, re.MULTILINE)
    assert [line.split()[1] for line in lines] == ["init-base", "learn-task", "predict"]
    for line in lines:
        _run(line)
    assert "supsup init-base  " not in run().out
    monkeypatch.setenv("SUPSUP_BANK", "s3://elsewhere/bank")
    monkeypatch.chdir("/")
    assert "supsup init-base  " not in run().out


@pytest.mark.parametrize(
    ("typed", "meant"), [("conv4", "conv-4"), ("LeNet-300-100", "lenet-300-100"),
                         ("mobilenet-v2", "mobilenet_v2"), ("tower-of-babel", None)],
)  # fmt: skip
def test_a_wrong_architecture_is_corrected(typed: str, meant: str | None, tmp_path: Path) -> None:
    ran = run("init-base", "--bank", tmp_path / "bank", "--arch", typed, "--json")
    assert ran.code == 2
    guess = f"did you mean {meant}? " if meant else ""
    begin = f"unknown architecture '{typed}'; {guess}expected lenet-300-100, "
    assert ran.error["message"].startswith(begin)


def test_the_words_in_the_help_are_those_that_the_code_knows() -> None:
    from bank_format.kinds.bank_json import INITS
    from bank_format.kinds.hopfield import RULES as HOPFIELD_RULES
    from supsup_cli.core.inference.methods import METHODS
    from supsup_cli.core.learning.batches.augmentation import KINDS
    from supsup_cli.core.learning.recipes import RECIPES
    from supsup_cli.core.masks.superposition import OBJECTIVES
    from supsup_cli.core.networks.specs import NAMED
    from supsup_cli.core.streams.stream_learner import RULES as STREAM_RULES

    assert set(choices.RECIPES) == set(RECIPES)
    assert set(choices.METHODS) == {"auto", "signature", *METHODS, "hopfield"}
    assert set(choices.OBJECTIVES) == set(OBJECTIVES)
    assert set(choices.ARCHITECTURES) == set(NAMED)
    assert set(choices.INITS) == set(INITS)
    assert set(choices.STREAM_RULES) == set(STREAM_RULES)
    assert set(choices.HOPFIELD_RULES) == set(HOPFIELD_RULES)
    assert set(choices.CHANGES) == {"none", *KINDS}


# The words after a command, with the one word that was meant, or none.
NEAR = {
    "learn-task --recipe sepparable": "separable",
    "compare --recipe Paper": "paper",
    "compare --rates gird": "grid",
    "infer-task --method oneshot": "one-shot",
    "predict --method exaustive": "exhaustive",
    "evaluate --objective h": "H",
    "learn-stream --rule los": "loss",
    "encode-hopfield --rule storky": "storkey",
    "init-base --init kaiming": "kaiming-normal",
    "data export mnist x --split tets": "test",
    "learn-task --recipe cake": "",
    "infer-task --objective Z": "",
}


@pytest.mark.parametrize("typed", NEAR)
def test_a_wrong_word_is_corrected_and_all_are_named(typed: str) -> None:
    *_, option, word = typed.split()
    ran = run(*typed.split(), "--json")
    assert ran.code == 2
    guess = f"did you mean {NEAR[typed]}? " if NEAR[typed] else ""
    assert ran.error["message"].startswith(f"{option} {word}: {guess}expected ")
    assert NEAR[typed] in ran.error["message"].partition("expected ")[2]
    command = "data export" if typed.startswith("data") else typed.split(maxsplit=1)[0]
    assert ran.error["hint"] == f"supsup {command} --help"


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("learn-task --recipe ", list(choices.RECIPES)),
        ("learn-task --recipe s", ["separable"]),
        ("infer-task --method ", list(choices.METHODS)),
        ("evaluate --objective ", list(choices.OBJECTIVES)),
        ("predict --group f", ["folder"]),
        ("predict --device cu", ["cuda", "cuda:1"]),
        ("learn-task --augment ", list(choices.CHANGES)),
        ("data export mnist x --split c", ["calibration"]),
        ("learn-task --data mnist-split-", [f"mnist-split-{split}" for split in range(5)]),
        ("tasks show mnist-p", [f"mnist-perm-{task}" for task in range(3)]),
    ],
)
def test_the_shell_completes(typed: str, completed: list[str], bank: Path) -> None:
    environment = {
        "_SUPSUP_COMPLETE": "complete_bash",
        "COMP_WORDS": f"supsup {typed}",
        "COMP_CWORD": str(len(f"supsup {typed}x".split()) - 1),
        "SUPSUP_BANK": str(bank),
    }
    ran = run_apart(environment=environment)
    assert ran.err == ""
    assert ran.out.split() == completed


def test_options_stand_in_panels() -> None:
    helped = run("learn-task", "--help").out
    panels = re.findall(r"╭─ ([A-Za-z ]+?) ─", helped)
    assert panels == ["Options", "Data", "Learning", "Output"]
    asked = run("predict", "--help").out
    panels = re.findall(r"╭─ ([A-Za-z ]+?) ─", asked)
    assert sorted(panels) == ["Arguments", "Data", "Options", "Output", "Telling tasks apart"]
