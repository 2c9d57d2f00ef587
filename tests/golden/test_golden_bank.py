"""A bank committed for good: today's code reads, writes and uses it as on the first day."""

import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.encoding.bits import count_ones
from bank_format.kinds.mask import build_task
from bank_format.kinds.task_records import TaskFacts
from tests.support.commands import ROOT, answer

GOLDEN = Path(__file__).parent
BANK = GOLDEN / "bank"
TASKS = ["mnist-split-0", "mnist-split-3", "sparse"]
SCRIPT = """
import json, sys
from pathlib import Path
from bank_format.bank import Bank
from bank_format.check.verify import verify
bank = Bank.open(Path(sys.argv[1]))
tasks, _ = bank.read_tasks()
print(json.dumps({
    "digests": {task.content.task: task.content_sha256 for task in tasks},
    "weights": {name: list(array.shape) for name, array in bank.base().items()},
    "problems": len(verify(bank.path).problems),
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
    return document


def test_it_is_whole() -> None:
    whole = {"ok": True, "problems": [], "repairs": [], "hints": [], "tasks": 3}
    assert answer("verify", "--bank", BANK).items() >= whole.items()


def test_its_tasks_are_what_they_were(expected: dict[str, Any]) -> None:
    tasks = answer("tasks", "--bank", BANK)["tasks"]
    assert [one["task"] for one in tasks] == TASKS
    for one, then in zip(tasks, expected["tasks"], strict=True):
        assert {key: one[key] for key in then} == then
    bank = Bank.open(BANK)
    assert bank.record.base_sha256 == expected["base_sha256"]
    ones = {name: [count_ones(m) for m in bank.read_task(name).masks.values()] for name in TASKS}
    assert ones == expected["ones"]
    sparse = bank.read_task("sparse")
    assert [one.name for one in sparse.content.classes] == ["kleine Brötchen", "dog"]
    assert sparse.statistics["norm.mean"].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("name", TASKS)
def test_the_same_task_is_written_to_the_same_bytes(name: str) -> None:
    bank = Bank.open(BANK)
    task = bank.read_task(name)
    facts = TaskFacts(**{one.name: getattr(task.content, one.name) for one in fields(TaskFacts)})
    written = build_task(bank.record, facts, task.masks, task.statistics, task.provenance)
    assert written == bank.task_path(name).read_bytes()


def test_the_same_base_is_made_to_the_same_bytes(tmp_path: Path) -> None:
    base = ("--arch", "mlp-4", "--input", "1x28x28", "--outputs", 12)
    assert answer("init-base", "--bank", tmp_path / "bank", *base)["status"] == "created"
    for file in ("bank.json", "base.safetensors"):
        assert (tmp_path / "bank" / file).read_bytes() == (BANK / file).read_bytes()
    shutil.copytree(BANK, tmp_path / "copy")
    assert answer("init-base", "--bank", tmp_path / "copy", *base)["status"] == "exists"


def test_its_answers_are_what_they_were(expected: dict[str, Any]) -> None:
    then = {one["file"]: one for one in expected["images"]}
    inferred = answer("infer-task", "--bank", BANK, GOLDEN / "images", "--top", 3)["results"]
    predicted = answer("predict", "--bank", BANK, GOLDEN / "images")["results"]
    files = [Path(one["source"]).relative_to(GOLDEN).as_posix() for one in inferred]
    assert files == sorted(then)
    for file, which, what in zip(files, inferred, predicted, strict=True):
        assert which["task"] == what["task"] == then[file]["task"]
        assert what["label"] == then[file]["label"]
        assert what["probability"] == pytest.approx(then[file]["probability"], abs=1e-4)
        assert dict(which["scores"]) == pytest.approx(then[file]["scores"], abs=1e-4)


def test_the_format_alone_reads_it(expected: dict[str, Any]) -> None:
    command = [sys.executable, "-c", SCRIPT, str(BANK)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["digests"] == {one["task"]: one["content_sha256"] for one in expected["tasks"]}
    assert found["weights"] == {"layers.0.weight": [4, 784], "layers.1.weight": [12, 4]}
    assert found["problems"] == 0
    assert {"torch", "supsup_cli", "typer"}.isdisjoint(found["modules"])


def test_its_weights_are_one_constant_a_layer() -> None:
    for name, weights in Bank.open(BANK).base().items():
        assert len(np.unique(np.abs(weights))) == 1, name
        assert 0.3 < (weights > 0).mean() < 0.7
