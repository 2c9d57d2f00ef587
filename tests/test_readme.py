import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from bank_format.errors import BankError
from supsup_cli.cli import app, main
from supsup_cli.errors import SupsupError
from tests.support.trained import library_network

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "supsup_cli" / "GUIDE.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "bank_format" / "README.md").read_text(encoding="utf-8")
PAGES = (
    "README.md",
    "supsup_cli/GUIDE.md",
    "supsup_cli/core/README.md",
    "bank_format/README.md",
    "tests/README.md",
    "tests/benchmarks/README.md",
)


def shape(line: str) -> str:
    """Keep a line's words, drop what another machine may print otherwise: scores and digests."""
    line = line.split("[", maxsplit=1)[0]
    line = re.sub(r"\b[0-9a-f]{12}\b", "#", line)
    return " ".join(re.sub(r"-?[0-9][0-9,.]*", "#", line).split())


def tour() -> list[tuple[str, list[str]]]:
    """List the commands of the console blocks with the output shown under each."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def test_the_tour_runs_and_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = tour()
    assert len(steps) >= 9
    for command, shown in steps:
        program, *arguments = shlex.split(command)
        assert program == "supsup"
        code = main(arguments)
        printed = capsys.readouterr().out.splitlines()
        assert (code, [shape(line) for line in printed]) == (0, [shape(line) for line in shown]), (
            command
        )
    (code_block,) = re.findall(r"```python\n(.*?)```", FORMAT, re.DOTALL)
    exec(compile(code_block, "bank_format/README.md", "exec"), {})
    kept = capsys.readouterr().out
    assert kept.count("layers.0.weight (300, 784) 0.5") == 3


def test_every_command_is_in_the_table() -> None:
    waiting = [("", typer.main.get_command(app))]
    registered = set()
    while waiting:
        name, command = waiting.pop()
        commands = getattr(command, "commands", {})
        if name and (not commands or getattr(command, "invoke_without_command", False)):
            registered.add(name)
        waiting += [(f"{name} {short}".strip(), each) for short, each in commands.items()]
    rows = re.findall(r"^\| `([a-z -]+)` \|", GUIDE, re.MULTILINE)
    assert sorted(rows) == sorted(registered)
    lines = re.findall(r"^- `([a-z -]+)`: ", README, re.MULTILINE)
    assert sorted(lines) == sorted(registered)


def test_every_exit_code_is_in_the_table() -> None:
    def codes(kind: type[Exception]) -> set[int]:
        return {kind.exit_code} | {code for one in kind.__subclasses__() for code in codes(one)}

    raised = codes(BankError) | codes(SupsupError)
    table = GUIDE.split("## Exit codes")[1].split("## ")[0]
    documented = set(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE)))
    assert documented == {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 130}
    assert raised <= documented


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_readme_is_short_and_so_is_its_tour() -> None:
    assert len(README.splitlines()) <= 200
    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    assert len(block.splitlines()) <= 45


def test_the_picture_is_what_its_script_draws(tmp_path: Path) -> None:
    drawn = tmp_path / "picture.svg"
    subprocess.run([sys.executable, ROOT / "examples" / "picture.py", drawn], check=True)
    assert drawn.read_bytes() == (ROOT / "examples" / "picture.svg").read_bytes()


def test_the_python_door_does_what_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    section = README.split("## From Python")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines[:2]] == [["bars", "empty"], ["bars", "bar"]]
    assert [line[:2] for line in lines[2:]] == [["bars", "2"], ["mnist-perm-7", "10"]]


def test_torchvisions_weights_come_in_by_the_line_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(library_network("mobilenet_v2").state_dict(), "net.pt")
    (script,) = re.findall(r'^python -c "(.*net.safetensors.*)"$', GUIDE, re.MULTILINE)
    exec(script, {})
    first, second = re.findall(r"^supsup (init-base .*--weights .*)$", GUIDE, re.MULTILINE)
    assert "timm/" in second
    command = first.replace("imagenet", "net.safetensors")
    assert main(shlex.split(command)) == 0
