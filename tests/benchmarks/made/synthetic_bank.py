"""Banks of random masks of any size, made in seconds, on which speed is measured."""

from pathlib import Path

import numpy as np

from bank_format.bank import Bank
from bank_format.kinds.bank_json import InputRecord
from bank_format.kinds.mask import build_task
from bank_format.kinds.task_records import ClassRecord, DataRecord
from bank_format.store.layout import MASKS, SUFFIX
from tests.support import banks

LENET = (
    ("layers.0.weight", (300, 784)),
    ("layers.1.weight", (100, 300)),
    ("layers.2.weight", (500, 100)),
)


def make_bank(path: Path, tasks: int) -> Bank:
    """Make a bank of LeNet 300-100 with 500 outputs and random masks of density one half.

    Unlike a bank's own files, these are not forced to the disk one by one: they need not be kept.
    """
    shape = InputRecord((1, 28, 28), "cover-bilinear", (0.1307,), (0.3081,))
    spec = banks.spec(LENET, arch="lenet-300-100", input=shape, real_outputs=10)
    bank = banks.create(path, spec)
    (path / MASKS).mkdir(exist_ok=True)
    classes = tuple(ClassRecord(str(digit), digit) for digit in range(10))
    for task in range(tasks):
        name = f"mnist-perm-{task}"
        random = np.random.default_rng(task)
        masks = {
            one.name: random.integers(0, 256, (one.count + 7) // 8, dtype=np.uint8)
            for one in bank.record.masked
        }
        data = DataRecord(name, f"{task:064x}")
        facts = banks.facts(name, classes=classes, data=data, parents=())
        written = build_task(bank.record, facts, masks, {}, banks.PROVENANCE)
        (path / MASKS / f"{name}{SUFFIX}").write_bytes(written)
    return bank
