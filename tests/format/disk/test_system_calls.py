"""All system calls go through one module, so faults put into it are faults of the bank."""

import ast
import os
from pathlib import Path

import pytest

import bank_format
from bank_format.disk import system_calls

DOOR = "system_calls.py"
MODULES = sorted(Path(bank_format.__file__).parent.rglob("*.py"))
HARMLESS = {"access", "fsencode", "fspath", "getpid", "kill", "statvfs", "strerror"}
BEHIND_THE_DOOR = {"ctypes", "io", "mmap", "shutil", "tempfile"}
EFFECTS = {
    "chmod", "hardlink_to", "mkdir", "open", "read_bytes", "read_text", "rename", "replace",
    "rmdir", "symlink_to", "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip


def _uses(tree: ast.Module) -> list[str]:
    """List the system calls that a module makes by itself."""
    found = []
    modules = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("bank_format", "bank_format.disk")
        for name in node.names
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [one.name for one in names if one.name in BEHIND_THE_DOOR]
            case ast.ImportFrom(module=str(module)) if module in {*BEHIND_THE_DOOR, "os", "fcntl"}:
                found.append(module)
            case ast.Call(func=ast.Name(id="open")):
                found.append("open")
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="os" | "fcntl" as module), attr=attr)
            ):
                found += [f"{module}.{attr}"] if attr not in HARMLESS else []
            case ast.Call(func=ast.Attribute(value=ast.Name(id=value), attr=attr)) if (
                value in modules
            ):
                pass
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in EFFECTS:
                # str.replace and dataclasses.replace take more arguments than a path's does
                given = len(node.args) + len(node.keywords)
                found += [f".{attr}"] if attr != "replace" or given == 1 else []
            case _:
                pass
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_only_the_door_touches_files(module: Path) -> None:
    uses = _uses(ast.parse(module.read_text(encoding="utf-8")))
    assert bool(uses) == (module.name == DOOR), uses


def test_the_door_says_what_it_lets_through() -> None:
    tree = ast.parse(Path(system_calls.__file__).read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert sorted(functions) == system_calls.__all__


def test_an_exclusive_rename_refuses_and_says_so(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old")
    with pytest.raises(FileExistsError) as caught:
        system_calls.rename_exclusively(source, target)
    assert (caught.value.filename, caught.value.filename2) == (str(source), str(target))
    assert (source.read_text(), target.read_text()) == ("new", "old")
    target.unlink()
    system_calls.rename_exclusively(source, target)
    assert target.read_text() == "new"
    assert not source.exists()


def test_a_descriptor_is_not_inherited_by_other_programs(tmp_path: Path) -> None:
    descriptor = system_calls.open_file(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    assert not os.get_inheritable(descriptor)
    system_calls.close(descriptor)
