"""Tiny banks whose tasks have signatures that a seed decides, and the index of them."""

from pathlib import Path

import numpy as np

from bank_format.bank import Bank
from bank_format.kinds.gaussians import GAUSSIANS, Gaussians, store_gaussians
from bank_format.kinds.mask import Task
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import SignatureRecord
from bank_format.names import is_task_name
from tests.support.banks import PROVENANCE, facts, masks

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
    assert is_task_name(task)
    known = facts(task, signature=SIGNATURE, parents=())
    return bank.add_task(known, masks(bank, seed), {}, PROVENANCE, gaussians(seed))


def index_files(bank: Path) -> list[Path]:
    return sorted(bank.glob("index-*.safetensors"))


def index_bytes(bank: Path) -> int:
    return sum(path.stat().st_size for path in index_files(bank))
