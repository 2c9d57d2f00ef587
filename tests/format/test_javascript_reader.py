"""The reader in examples/read_bank.js, which uses FORMAT.md and none of our code."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.kinds.gaussians import read_gaussians
from bank_format.kinds.task_records import ParentRecord
from bank_format.store.signatures import read_signature
from tests.support.banks import PROVENANCE, add, create, facts, masks, spec
from tests.support.commands import ROOT, answer

READER = ROOT / "examples" / "read_bank.js"
GOLDEN, GOLDEN_2 = (ROOT / "tests" / "golden" / name for name in ("bank", "bank-2"))
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="no node on PATH")


def read(bank: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE or "node", str(READER), str(bank)], capture_output=True, text=True, check=False
    )


def told(bank: Path) -> dict[str, list[float]]:
    """Density of each task, and the line about its signature."""
    done = read(bank)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    return {task: [float(one) for one in numbers] for task, *numbers in rows}


def densities(bank: Path) -> dict[str, float]:
    return {task: share for task, (share, *_) in told(bank).items()}


def test_it_is_short_and_needs_nothing_but_node() -> None:
    lines = READER.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 180
    modules = re.findall(r"require\(\"(.*?)\"\)", "\n".join(lines))
    assert modules == ["node:crypto", "node:fs", "node:path"]


@needs_node
def test_it_reads_the_golden_bank_and_a_learned_one_as_stats_does(bank: Path) -> None:
    for path in (GOLDEN, GOLDEN_2, bank):
        per_task = answer("stats", "--bank", path)["per_task"]
        assert densities(path) == {one["task"]: one["density"] for one in per_task}


@needs_node
def test_it_reads_signatures_wherever_they_stand(bank: Path) -> None:
    for path in (GOLDEN_2, bank):
        opened = Bank.open(path)
        signed = 0
        for name, (_, *numbers) in told(path).items():
            later = read_signature(path, opened.record, name)
            arrays = (later or opened.read_task(name)).arrays
            if not arrays:
                assert numbers == []
                continue
            gaussians = read_gaussians(arrays, arrays["signature/means"].shape[1])
            lengths = np.linalg.norm(gaussians.directions, axis=2)
            expected = [*gaussians.means.shape, float(lengths[lengths > 0].mean())]
            assert numbers == pytest.approx(expected, rel=1e-5)
            signed += 1
        assert signed >= 2
    assert len(told(GOLDEN)["sparse"]) == 1


@needs_node
def test_a_damaged_or_misplaced_signature_is_named(tmp_path: Path) -> None:
    path = Path(shutil.copytree(GOLDEN_2, tmp_path / "bank"))
    signature = path / "signatures" / "mnist-split-3.safetensors"
    whole = signature.read_bytes()
    signature.write_bytes(whole[:900] + bytes([whole[900] ^ 4]) + whole[901:])
    assert read(path).stderr == f"{signature}: breaks I2 of FORMAT.md\n"
    signature.write_bytes((path / "masks" / "mnist-split-3.safetensors").read_bytes())
    assert read(path).stderr == f"{signature}: breaks I4 of FORMAT.md\n"
    signature.unlink()
    assert len(told(path)["mnist-split-3"]) == 1


@needs_node
def test_it_reads_every_coding(tmp_path: Path) -> None:
    layers = (("a.weight", (40, 50)), ("b.weight", (7, 11)))
    small = create(tmp_path / "bank", spec(layers))
    for density in (0.0, 0.01, 0.05, 0.3, 0.5, 0.97, 1.0):
        name = f"d{round(100 * density)}"
        small.add_task(facts(name), masks(small, density=density), {}, PROVENANCE)
    assert densities(small.path) == {name: small.read_task(name).density for name in small.tasks()}


@needs_node
def test_it_reads_combinations_and_names_what_they_lack(tmp_path: Path) -> None:
    small = create(tmp_path / "bank", spec((("a.weight", (40, 50)), ("b.weight", (7, 11)))))
    for seed, name in enumerate("abc"):
        add(small, name, seed, 0.2)
    named = tuple(ParentRecord(one, small.read_task(one).content_sha256) for one in "abc")
    for name, values in {"most": (1, 1, 1, 0), "odd": (0.1, 0.2, -0.3, 1e-9)}.items():
        stored = {p.name: np.array(values, np.float32) for p in small.record.masked}
        small.add_combination(facts(name, parents=named), stored, {}, PROVENANCE)
    known = {name: small.read_task(name).density for name in small.tasks()}
    assert len(set(known.values())) == 5
    assert densities(small.path) == known
    small.task_path("b").unlink()
    add(small, "b", 9)
    done = read(small.path)
    assert (done.returncode, done.stderr.split(": ")) == (
        5, [str(small.task_path("most")), "breaks I11 of FORMAT.md\n"],
    )  # fmt: skip


@needs_node
def test_damage_is_named_with_its_invariant(tmp_path: Path) -> None:
    small = create(tmp_path / "bank")
    for seed, name in enumerate(("cats", "dogs", "rare")):
        add(small, name, seed, 0.05 if name == "rare" else 0.5)
    generator = np.random.default_rng(0)
    for path in (small.path / "bank.json", small.path / "base.safetensors", *tasks_of(small)):
        whole = path.read_bytes()
        for bit in generator.integers(0, 8 * len(whole), 2).tolist():
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            done = read(small.path)
            assert (done.returncode, str(path) in done.stderr) == (5, True), bit
        path.write_bytes(whole)
    cats, dogs = small.task_path("cats"), small.task_path("dogs")
    dogs.write_bytes(cats.read_bytes())
    assert read(small.path).stderr == f"{dogs}: breaks I7 of FORMAT.md\n"


def tasks_of(bank: Bank) -> list[Path]:
    return [bank.task_path(name) for name in bank.tasks()]
