"""`tasks show`, wrong names, and what a shell completes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bank_format.bank import Bank
from tests.support.banks import LENET, add, create, spec
from tests.support.commands import ROOT, answer, run


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = create(tmp_path / "bank")
    for name in ("pets", "mnist-perm-7"):
        add(bank, name)
    return bank


def test_show_tells_all_that_the_file_says(bank: Bank) -> None:
    task = bank.read_task("pets")
    (shown,) = answer("tasks", "show", "pets", "--bank", bank.path)["tasks"]
    content = task.content
    assert shown["file"] == str(bank.task_path("pets"))
    assert shown["bytes"] == bank.task_path("pets").stat().st_size
    assert shown["content_sha256"] == task.content_sha256
    assert shown["base_sha256"] == bank.record.base_sha256
    assert (shown["data"], shown["data_digest"]) == ("pets", "ab" * 32)
    assert shown["settings"] == dict(content.recipe.settings)
    assert (shown["seed"], shown["steps"], shown["correct"], shown["images"]) == (3, 1000, 90, 100)
    assert shown["class_names"][1] == {"name": "chien à poil", "output": 1}
    assert shown["calibration"]["values"] == [-2.0, 0.25, 3.5]
    assert shown["parents"] == [{"task": "earlier", "content_sha256": "cd" * 32}]
    assert shown["statistics"] == {"norm.mean": [3]}
    assert shown["versions"] == {"supsup": "0.1.0"}
    kept = sum(layer["ones"] for layer in shown["layers"])
    assert kept / 45 == shown["density"] == task.density
    assert [layer["shape"] for layer in shown["layers"]] == [[5, 6], [3, 5]]


def test_show_prints_facts_and_a_row_for_each_layer(bank: Bank) -> None:
    ran = run("tasks", "show", "pets", "mnist-perm-7", "pets", "--bank", bank.path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("content_sha256") == 2
    assert "90.00 %, 90 of 100 test images" in ran.out
    assert "cat -> 0, chien à poil -> 1" in ran.out
    row = next(line for line in ran.out.splitlines() if line.startswith("first.weight"))
    assert row.split()[1:5] == ["5", "x", "6", "30"]


@pytest.mark.parametrize("density", [0.5, 0.05, 0.004, 0.0])
def test_a_layers_bytes_are_those_of_its_tensor(tmp_path: Path, density: float) -> None:
    bank = create(tmp_path / "bank", spec(LENET, real_outputs=10))
    add(bank, "sparse", density=density)
    (shown,) = answer("tasks", "show", "sparse", "--bank", bank.path)["tasks"]
    data = bank.task_path("sparse").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    for layer in shown["layers"]:
        first, last = header[f"mask/{layer['parameter']}"]["data_offsets"]
        assert layer["bytes"] == last - first
        assert layer["coding"] == ("packed" if density == 0.5 else "rice")


@pytest.mark.parametrize("command", ["show", "remove", "export", "copy"])
def test_an_unknown_task_is_answered_with_a_close_one(
    bank: Bank, tmp_path: Path, command: str
) -> None:
    more = {"export": (tmp_path / "file",), "copy": ("--from", bank.path)}.get(command, ())
    ran = run("tasks", command, "mnist-prem-7", *more, "--bank", bank.path)
    assert (ran.code, ran.out) == (2, "")
    assert "no task 'mnist-prem-7' found among 2; did you mean 'mnist-perm-7'?" in ran.err
    assert "did you mean" not in run("tasks", "show", "xyz", "--bank", bank.path).err


def test_options_before_the_command_are_refused(bank: Bank) -> None:
    for option in (("--bank", bank.path), ("--quiet",), ("--debug",)):
        ran = run("tasks", *option, "show", "pets")
        assert ran.code == 2
        assert f"{option[0]}: found before 'show', expected after it" in ran.err
    listed = run("tasks", "--bank", bank.path)
    assert listed.code == 0
    assert "mnist-perm-7" in listed.out


def _complete(*words: str, environment: dict[str, str] | None = None) -> list[str]:
    """Ask the program as bash does; the last word is the one being typed."""
    asked = {"_SUPSUP_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(["supsup", *words])}
    variables = {**os.environ, **asked, "COMP_CWORD": str(len(words)), **(environment or {})}
    script = "import sys; from supsup_cli.__main__ import main; code = main(); sys.exit(code)"
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", script],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "PIL", "torchvision"})
    assert "Traceback" not in ran.stderr
    return ran.stdout.split()


def test_a_shell_completes_names_of_tasks(bank: Bank, tmp_path: Path) -> None:
    here = str(bank.path)
    assert _complete("tasks", "show", "--bank", here, "mn") == ["mnist-perm-7"]
    assert _complete("predict", "--task", "p", environment={"SUPSUP_BANK": here}) == ["pets"]
    assert _complete("tasks", "copy", "--from", here, "pe") == ["pets"]
    assert _complete("tasks", "show", "--bank", str(tmp_path / "none"), "p") == []
    (bank.path / "bank.json").write_text("{")
    assert _complete("evaluate", "--bank", here, "--tasks", "p") == []


def test_a_shell_completes_names_of_data(tmp_path: Path) -> None:
    assert "mnist-split-4" in _complete("learn-task", "--data", "mnist-s")
    (tmp_path / "pets").mkdir()
    (tmp_path / "file").touch()
    assert _complete("predict", "--data", f"{tmp_path}/") == [f"{tmp_path}/pets/"]
    assert _complete("predict", "--data", f"{tmp_path}/none/") == []
