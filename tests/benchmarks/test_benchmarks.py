"""The benchmarks run; no test asserts what they measure."""

import re
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from tests.benchmarks.decisions import scaling, speed_gpu
from tests.benchmarks.made.synthetic_bank import make_bank
from tests.benchmarks.made.timing import Timing


def test_the_page_names_every_program() -> None:
    folder = Path(__file__).parent
    head = (folder / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z]+)`:.* \| (.*) \|$", head, re.MULTILINE)
    named = [(room, name) for room, names in rows for name in re.findall(r"`([a-z_0-9]+)`", names)]
    assert sorted(named) == sorted(
        (path.parent.name, path.stem) for path in folder.glob("*/[!_]*.py")
    )


def test_a_synthetic_bank_is_a_whole_one(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", 3)
    assert verify(bank.path).problems == ()
    tasks, packed = Bank.open(bank.path).read_tasks()
    assert [task.content.task for task in tasks] == [f"mnist-perm-{i}" for i in range(3)]
    assert packed.shape == (3, 39_400)


def test_the_benchmark_of_a_gpu_runs_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    few = "--tasks 3 --images 5 --together 2 --train 40 --steps 2 --runs 1"
    speed_gpu.main(["--device", "cpu", *few.split()])
    printed = capsys.readouterr().out
    assert printed.startswith("CPU; ")
    assert "| every mask, R |" in printed
    assert "| a task's step, 2 learned together |" in printed


def test_a_timing_shows_its_median_and_spread() -> None:
    assert str(Timing((0.003, 0.001, 0.002))) == "2 ms (1 … 3)"
    assert str(Timing((3.0, 1.0, 2.0))) == "2 s (1 … 3)"


def test_scaling_is_drawn(tmp_path: Path) -> None:
    measured = {10: dict.fromkeys(scaling.COLUMNS, 0.1), 100: dict.fromkeys(scaling.COLUMNS, 1.0)}
    scaling.draw(measured, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 1000
