"""Hints can be typed as they are: every command in them names the right bank."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supsup_cli.cli import app
from supsup_cli.hints import BANK_COMMANDS, bank_of, keep_bank
from tests.support.commands import ROOT, Ran, answer, flip_bit, make_class_folder, run

TOLD = re.compile(r"supsup ((?:tasks (?:show|remove|copy|export|clean))|[a-z][a-z-]+)(?![\w-])")


def _commands_without_bank(hint: str) -> list[str]:
    """List the commands of a hint that would use another bank."""
    lacking = []
    for command in TOLD.finditer(hint):
        rest = hint[command.end() :].partition("supsup ")[0]
        if command[1] in BANK_COMMANDS and "--bank " not in rest and "--help" not in rest:
            lacking.append(command[0])
    return lacking


def _texts() -> Iterator[str]:
    """Yield every text of the code that contains a command, with … for inserted values."""
    for package in ("supsup_cli", "bank_format"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (
                        str(one.value) if isinstance(one, ast.Constant) else "…"
                        for one in node.values
                    )
                    yield "".join(parts)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_every_command_that_the_code_tells_is_one_and_gets_the_bank() -> None:
    """Hints are spelled in one place; a new command or another spelling must be added there."""
    told = [text for text in _texts() if TOLD.search(text) and "\n" not in text]
    assert len(told) > 25
    for text in told:
        assert _commands_without_bank(keep_bank(text, "my bank")) == []
        command = TOLD.match(text)
        assert command is None or command[1] in (*BANK_COMMANDS, "compare", "data"), text


def test_the_commands_that_have_a_bank_are_these() -> None:
    from typer.main import get_command

    def with_bank(command: object, name: str) -> Iterator[str]:
        parameters = getattr(command, "params", ())
        if any("--bank" in getattr(one, "opts", ()) for one in parameters):
            yield name.strip()
        for key, one in getattr(command, "commands", {}).items():
            yield from with_bank(one, f"{name} {key}")

    assert set(with_bank(get_command(app), "")) == set(BANK_COMMANDS)


@pytest.mark.parametrize(
    ("hint", "kept"),
    [
        ("supsup tasks", "supsup tasks --bank b"),
        ("supsup tasks clean removes it", "supsup tasks clean --bank b removes it"),
        ("supsup tasks --bank a", "supsup tasks --bank a"),
        ("supsup learn-task --help", "supsup learn-task --help"),
        ("supsup data list", "supsup data list"),
        ("run supsup stats, then supsup verify --bank a",
         "run supsup stats --bank b, then supsup verify --bank a"),
        ("supsup tasks copy x --from a", "supsup tasks copy --bank b x --from a"),
        ("pip install --upgrade supsup", "pip install --upgrade supsup"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_bank_is_given_to_commands_that_have_none(hint: str, kept: str) -> None:
    assert keep_bank(hint, "b") == kept
    assert keep_bank(hint, None) == hint


def test_the_bank_is_quoted() -> None:
    assert keep_bank("supsup stats", "my bank") == "supsup stats --bank 'my bank'"


@pytest.mark.parametrize(
    ("words", "bank"),
    [("tasks --bank a", "a"), ("tasks --bank=a", "a"), ("tasks --bank a --bank b", "b"),
     ("tasks", None), ("predict -- --bank a", None), ("tasks --bank", None)],
)  # fmt: skip
def test_the_bank_is_found_among_the_words(words: str, bank: str | None) -> None:
    assert bank_of(words.split()) == bank


Case = Callable[[Path, Path], tuple[object, ...]]


def _case(words: str) -> Case:
    def fill(bank: Path, folder: Path) -> tuple[object, ...]:
        return tuple(word.format(bank=bank, folder=folder) for word in words.split())

    return fill


# What a user gets wrong, and the exit code: {bank} has tasks, {folder} is prepared below.
WRONG = {
    "learn-task --data {folder}/日本 --bank {bank}": 2,
    "learn-task --data cifar10-split-0 --bank {bank}": 2,
    "learn-task --data cifar10-split-0 --data-root {folder} --bank {bank}": 2,
    "learn-task --bank {bank}": 2,
    "learn-task --data mnist-perm-x --bank {bank}": 2,
    "learn-task --data mnist-perm-0 --seed 9 --bank {bank}": 11,
    "learn-task --data mnist-perm-0 --bank {folder}/none": 10,
    "learn-task --data mnist --steps 0 --bank {bank}": 2,
    "learn-stream --bank {bank}": 2,
    "learn-stream --data {folder}/日本 --bank {bank}": 2,
    "predict {folder}/empty --bank {bank}": 2,
    "predict {folder}/gone.png --bank {bank}": 2,
    "predict --task nonesuch --data mnist --bank {bank}": 2,
    "predict --data mnist --bank {folder}/new": 2,
    "infer-task --data mnist --method hopfield --bank {bank}": 2,
    "infer-task --data mnist --bank {folder}": 10,
    "evaluate --tasks nonesuch --bank {bank}": 2,
    "evaluate --bank {folder}/new": 2,
    "encode-hopfield --bank {bank}": 2,
    "encode-hopfield --bank {folder}/units": 2,
    "tasks show nonesuch --bank {bank}": 2,
    "tasks remove mnist-perm-0 --bank {bank}": 2,
    "tasks remove nonesuch --yes --bank {bank}": 2,
    "tasks copy nonesuch --from {bank} --bank {folder}/new": 2,
    "tasks copy mnist-perm-0 --from {bank} --as mnist-perm-1 --bank {bank}": 11,
    "tasks export mnist-perm-0 {bank}/out.safetensors --bank {bank}": 2,
    "tasks clean --bank {folder}/none": 10,
    "init-base --arch nonesuch --bank {folder}/other": 2,
    "init-base --seed 5 --bank {bank}": 11,
    "predict --data mnist --bank {folder}/damaged": 5,
    "tasks --bank {folder}/damaged": 5,
    "stats --bank {folder}/none": 10,
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, bank: Path) -> Path:
    folder = tmp_path_factory.mktemp("my wrong banks")
    make_class_folder(folder / "日本", {"a": 0, "b": 14}, each=4)
    (folder / "empty").mkdir()
    answer("init-base", "--bank", folder / "new", "--arch", "mlp-16-16", "--outputs", 100)
    answer("init-base", "--bank", folder / "units", "--arch", "units-8-8", "--outputs", 20)
    damaged = folder / "damaged"
    answer("init-base", "--bank", damaged, "--arch", "mlp-16-16", "--outputs", 100)
    name = "mnist-perm-0.safetensors"
    (damaged / "masks" / name).write_bytes((bank / "masks" / name).read_bytes())
    flip_bit(damaged / "masks" / name, 900)
    return folder


@pytest.mark.parametrize("words", WRONG)
def test_what_is_hinted_goes_to_the_bank_that_was_named(
    words: str, prepared: Path, bank: Path
) -> None:
    typed = [word.format(bank=bank, folder=prepared) for word in words.split()]
    ran = run(*typed)
    assert (ran.code, ran.out) == (WRONG[words], "")
    first, *hints = ran.err.splitlines()
    assert first.startswith("supsup: ")
    for hint in hints:
        assert _commands_without_bank(hint) == []
    document = run(*typed, "--json").error
    assert f"supsup: {document['message']}" == first
    assert _commands_without_bank(document["hint"]) == []
    _check_hint(document["hint"], typed)


def _check_hint(hint: str, typed: list[str]) -> None:
    """Parse a hint that is a whole command as a shell would."""
    if not hint.startswith("supsup "):
        return
    words = shlex.split(hint)
    told = bank_of(words)
    asked = bank_of(typed)
    others = (None, "ANOTHER-BANK")
    assert told in others or str(told).startswith(str(asked)) or told in typed, hint


def test_the_folder_of_the_issue_is_hinted_with_its_bank(prepared: Path, bank: Path) -> None:
    folder = prepared / "日本"
    ran: Ran = run("learn-task", "--bank", bank, "--data", folder)
    assert ran.code == 2
    assert ran.err.splitlines()[1] == (
        f"  hint: supsup learn-task --bank {bank} --data '{folder}' --name NAME"
    )


def test_what_verify_and_doctor_advise_names_the_bank(prepared: Path) -> None:
    damaged = prepared / "damaged"
    verified = run("verify", "--bank", damaged, "--json")
    assert verified.code == 5
    hints = [one["hint"] for one in verified.json["problems"]] + verified.json["hints"]
    checks = run("doctor", "--bank", damaged, "--json").json["checks"]
    for hint in (*hints, *(one["hint"] for one in checks)):
        assert _commands_without_bank(hint) == []
    assert any(shlex.quote(str(damaged)) in hint for hint in hints)
