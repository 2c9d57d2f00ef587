"""Tiny banks for tests: a network of 45 masked weights, and tasks with seeded masks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.encoding.bits import unpack
from bank_format.encoding.sealed import seal, unseal
from bank_format.kinds.bank_json import BankRecord, BankSpec, InputRecord, ParameterRecord
from bank_format.kinds.gaussians import GAUSSIANS, Gaussians, store_gaussians
from bank_format.kinds.hopfield import Attractors, PatternRecord
from bank_format.kinds.mask import Task
from bank_format.kinds.seeded import signed_constant_tensors
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import (
    AccuracyRecord,
    CalibrationRecord,
    ClassRecord,
    DataRecord,
    ParentRecord,
    Provenance,
    RecipeRecord,
    SignatureRecord,
    TaskFacts,
)
from bank_format.store.attractors import write_attractors
from bank_format.store.layout import HOPFIELD_FILE

TINY = (("first.weight", (5, 6)), ("last.weight", (3, 5)))
LENET = (("0.weight", (300, 784)), ("2.weight", (100, 300)), ("4.weight", (500, 100)))
PROVENANCE = Provenance(
    created="2026-01-31T12:00:00.000000Z",
    seconds=1.5,
    machine="test",
    versions={"supsup": "0.1.0"},
)


def spec(layers: tuple[tuple[str, tuple[int, ...]], ...] = TINY, **changes: Any) -> BankSpec:
    parameters = tuple(ParameterRecord(name, shape, True) for name, shape in layers)
    values: dict[str, Any] = {
        "arch": "mlp-5",
        "masking": "edges",
        "init": "signed-constant",
        "seed": 0,
        "input": InputRecord((1, 2, 3), "cover-bilinear", (0.5,), (0.25,)),
        "outputs": layers[-1][1][0],
        "real_outputs": 2,
        "parameters": parameters,
    }
    return BankSpec(**(values | changes))


def create(path: Path, of: BankSpec | None = None) -> Bank:
    of = of or spec()
    bank, _ = Bank.create(path, of, signed_constant_tensors(of.seed, of.parameters))
    return bank


def masks(bank: Bank, seed: int = 0, density: float = 0.5) -> dict[str, NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    return {p.name: generator.random(p.shape) < density for p in bank.record.masked}


def facts(task: str, **changes: Any) -> TaskFacts:
    values: dict[str, Any] = {
        "task": task,
        "classes": (ClassRecord("cat", 0), ClassRecord("chien à poil", 1)),
        "data": DataRecord("pets", "ab" * 32),
        "recipe": RecipeRecord("paper", {"lr": 1e-4, "batch": 128, "optimiser": "rmsprop"}),
        "seed": 3,
        "steps": 1000,
        "accuracy": AccuracyRecord(90, 100),
        "calibration": CalibrationRecord("R", 50, (0.0, 0.5, 1.0), (-2.0, 0.25, 3.5)),
        "parents": (ParentRecord("earlier", "cd" * 32),),
    }
    return TaskFacts(**(values | changes))


def add(bank: Bank, task: str, seed: int = 0, density: float = 0.5) -> Task:
    statistics = {"norm.mean": np.arange(3, dtype=np.float32)}
    return bank.add_task(facts(task), masks(bank, seed, density), statistics, PROVENANCE)


def add_combination(bank: Bank, task: str, *parents: str, **changes: Any) -> Task:
    """Add a task that keeps the weights that most of its parents keep."""
    read = [bank.read_task(one) for one in parents]
    named = tuple(ParentRecord(one.content.task, one.content_sha256) for one in read)
    values = np.array([1.0] * len(read) + [0.0], dtype=np.float32)
    coefficients = {p.name: values for p in bank.record.masked}
    statistics = {"norm.mean": np.arange(3, dtype=np.float32)}
    stated = facts(task, **({"parents": named} | changes))
    return bank.add_combination(stated, coefficients, statistics, PROVENANCE)


def flips(data: bytes, every: int = 1) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes with one bit flipped, for each bit in turn (or each `every`-th)."""
    for bit in range(0, len(data) * 8, every):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def units_spec(**changes: Any) -> BankSpec:
    """Make the spec of a tiny network with masks over units: five, then four."""
    parameters = tuple(
        ParameterRecord(name, shape, masked)
        for name, shape, masked in (
            ("first.weight", (5, 6), False),
            ("first.units", (5,), True),
            ("second.weight", (4, 5), False),
            ("second.units", (4,), True),
            ("last.weight", (3, 4), False),
        )
    )
    return spec(**({"masking": "units", "parameters": parameters, "outputs": 3} | changes))


def attractors(tasks: Sequence[Task], record: BankRecord) -> Attractors:
    """Store tasks by the Hebbian rule, in the order given."""
    matrices, sums = {}, {}
    for one in record.masked:
        bits = np.array([unpack(task.masks[one.name], one.count) for task in tasks])
        patterns = np.where(bits, 1.0, -1.0)
        matrices[one.name] = (patterns.T @ patterns) / one.count
        np.fill_diagonal(matrices[one.name], 0)
        sums[one.name] = patterns.sum(0)
    names = tuple(PatternRecord(task.content.task, task.content_sha256) for task in tasks)
    return Attractors("hebbian", names, matrices, sums)


def units_bank(path: Path) -> Bank:
    """Make a bank of three tasks: cats, dogs, pets."""
    made = create(path, units_spec())
    for seed, name in enumerate(("cats", "dogs", "pets")):
        add(made, name, seed)
    return made


def written(bank: Bank) -> bytes:
    """Store all tasks of a bank as attractors; return the file."""
    write_attractors(bank.path, bank.record, attractors(bank.read_tasks()[0], bank.record))
    return (bank.path / HOPFIELD_FILE).read_bytes()


FEATURES = 5
SIGNATURE = SignatureRecord(GAUSSIANS, 40)


def gaussians(seed: int = 0, classes: int = 3, directions: int = 2) -> Arrays:
    random = np.random.default_rng(seed)

    def positive(*shape: int) -> np.ndarray:
        return (random.random(shape) + 0.1).astype(np.float32)

    return store_gaussians(
        Gaussians(
            random.normal(size=(classes, FEATURES)).astype(np.float32),
            random.normal(size=(classes, directions, FEATURES)).astype(np.float32),
            positive(classes, directions),
            positive(classes),
            positive(classes),
            np.empty(0, np.float32),
        )
    )


def add_signed(bank: Bank, task: str, seed: int = 0) -> Task:
    known = facts(task, signature=SIGNATURE, parents=())
    return bank.add_task(known, masks(bank, seed), {}, PROVENANCE, gaussians(seed))


def index_files(bank: Path) -> list[Path]:
    return sorted(bank.glob("index-*.safetensors"))


def index_bytes(bank: Path) -> int:
    return sum(path.stat().st_size for path in index_files(bank))


def make_newer(path: Path) -> bytes:
    """Make a sealed file one of a later version, and return its bytes."""
    tensors, metadata = unseal(path.read_bytes(), path.name)
    assert isinstance(metadata, dict)
    content = metadata["content"]
    assert isinstance(content, dict)
    path.write_bytes(seal(tensors, {"content": content | {"version": 2}}))
    return path.read_bytes()
