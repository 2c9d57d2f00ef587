"""The house: how many modules a room has, how long a file is, and that the map names every room."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.commands import ROOT

MOST_MODULES, MOST_LINES = 16, 300
PACKAGES = ("bank_format", "supsup_cli", "tests")
MAP = (ROOT / "supsup_cli" / "README.md").read_text(encoding="utf-8")
FILES = [path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
ROOMS = Counter(path.parent for path in FILES if path.name != "__init__.py")


def test_no_room_is_crowded() -> None:
    assert {room for room, count in ROOMS.items() if count > MOST_MODULES} == set()


def test_no_file_is_long() -> None:
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path for path, count in lines.items() if count > MOST_LINES} == set()


def test_docstrings_begin_with_what_is_done() -> None:
    """Not with "Tell", "Say" or "Give": a function returns, computes, prints, reports or raises."""
    begun = [
        f"{path}:{node.body[0].lineno}"
        for path in FILES
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (ast.get_docstring(node) or "").startswith(("Tell ", "Say ", "Give "))
    ]
    assert begun == []


@pytest.mark.parametrize("room", sorted(ROOMS), ids=str)
def test_every_room_says_what_it_is_for(room: Path) -> None:
    face = ROOT / room / "__init__.py"
    assert ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))), face


@pytest.mark.parametrize(
    "room", sorted(room for room in ROOMS if room.parts[0] != "tests"), ids=str
)
def test_the_map_names_every_room(room: Path) -> None:
    subjects = re.findall(r"\*\*([a-z, ]+)\*\*", MAP)[0].split(", ")
    named = {*re.findall(r"([a-z_]+)/", MAP), *subjects}
    assert set(room.parts) - {"supsup_cli"} <= named, room
