"""Commands run inside the test process: exit code, both streams, the JSON document."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from supsup_cli.cli import main

ROOT = Path(__file__).parents[2]
SMALL = ("--arch", "mlp-16-16", "--outputs", 100)


@dataclass(frozen=True)
class Ran:
    """The answer of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one document on stdout."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        assert self.out.count("\n") == 1
        return document

    @property
    def error(self) -> dict[str, Any]:
        """The error in a document that reports one; its number is the exit code."""
        assert self.json["ok"] is False
        error = self.json["error"]
        assert error["exit"] == self.code
        return dict(error)


def run(*words: object) -> Ran:
    """Run one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ran(code, out.getvalue(), err.getvalue())


def answer(*words: object) -> dict[str, Any]:
    """Run one command that must succeed with --json, and return its document."""
    ran = run(*words, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, ""), ran
    assert ran.json["ok"] is True
    return ran.json


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Start one command in a separate process."""
    command = [sys.executable, "-m", "supsup_cli", *map(str, words)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, **options.pop("environment", {})}
    return subprocess.Popen(command, cwd=ROOT, text=True, env=environment, **(pipes | options))


def run_apart(*words: object, **options: Any) -> Ran:
    """Run one command in a separate process."""
    process = start(*words, **options)
    out, err = process.communicate(timeout=120)
    return Ran(process.returncode, out or "", err or "")


def make_bank(path: Path, *tasks: str, steps: int = 60) -> Path:
    """Make a small bank and learn tasks into it."""
    assert run("init-base", "--bank", path, *SMALL).code == 0
    if tasks:
        learn(path, *tasks, steps=steps)
    return path


def learn(bank: Path, *data: object, steps: int = 60, more: tuple[object, ...] = ()) -> Any:
    """Learn tasks into a bank and return their part of the document."""
    named = [word for one in data for word in ("--data", one)]
    return answer("learn-task", "--bank", bank, *named, "--steps", steps, *more)["tasks"]


def make_class_folder(folder: Path, classes: dict[str, int], each: int = 40) -> Path:
    """Write a folder of class folders: noise, with ten bright rows at a place for each class."""
    noise = np.random.default_rng(0)
    for name, row in classes.items():
        (folder / name).mkdir(parents=True)
        for place in range(each):
            pixels = noise.integers(0, 100, (28, 28), dtype=np.uint8)
            pixels[row : row + 10] += 150
            Image.fromarray(pixels).save(folder / name / f"{place:03d}.png")
    return folder


def flip_bit(file: Path, byte: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(file.read_bytes())
    data[byte] ^= 1
    file.write_bytes(data)
