import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from supsup_cli import api
from supsup_cli.cli import main
from tests.support.trained import library_network

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "supsup_cli" / "GUIDE.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "bank_format" / "README.md").read_text(encoding="utf-8")


def shape(line: str) -> str:
    """Keep the words of a line, drop what may differ on another machine: scores and digests."""
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
    # About half of the weights are kept; rounding decides the last digits.
    shares = re.findall(r"layers\.0\.weight \(300, 784\) (0\.\d+)", kept)
    assert len(shares) == 3
    assert all(0.49 <= float(share) <= 0.51 for share in shares)


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
    assert [line[:2] for line in lines] == [["bars", "empty"], ["bars", "bar"]]
    assert [one.task for one in api.Bank("shapes").tasks()] == ["bars", "mnist-perm-7"]


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
