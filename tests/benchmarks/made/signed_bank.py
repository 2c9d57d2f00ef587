"""Banks of synthetic masks with signatures of real shape, on which opening is measured."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bank_format.bank import Bank
from bank_format.kinds.bank_json import InputRecord
from bank_format.kinds.gaussians import GAUSSIANS, Gaussians, store_gaussians
from bank_format.kinds.mask import build_task
from bank_format.kinds.task_records import ClassRecord, DataRecord, SignatureRecord
from bank_format.store.layout import MASKS, SUFFIX
from tests.support import banks

# Masks are small, so that 100,000 files take 1.4 GB. LeNet's tasks have 300 features, 10
# classes and 4 directions for each class.
SIDE, CLASSES, DIRECTIONS, OUTPUTS = 4, 10, 4, 40
LAYERS = (("layers.0.weight", (300, SIDE * SIDE)), ("layers.1.weight", (OUTPUTS, 300)))
_MEAN, _STD, _LEVELS = 0.5, 0.25, 17


def create(path: Path) -> Bank:
    """Make the bank, without tasks."""
    shape = InputRecord((1, SIDE, SIDE), "cover-bilinear", (_MEAN,), (_STD,))
    spec = banks.spec(LAYERS, arch="mlp-300", input=shape, real_outputs=CLASSES)
    return banks.create(path, spec)


def add_tasks(bank: Bank, first: int, last: int) -> None:
    """Add the tasks of these numbers; files are not forced to the disk one by one."""
    folder = bank.folder / MASKS
    folder.mkdir(exist_ok=True)
    weights = bank.base()["layers.0.weight"]
    classes = tuple(ClassRecord(str(digit), digit) for digit in range(CLASSES))
    signature = SignatureRecord(GAUSSIANS, 1000)
    for task in range(first, last):
        name, random = name_of(task), np.random.default_rng(task)
        masks = {
            one.name: random.integers(0, 256, (one.count + 7) // 8, dtype=np.uint8)
            for one in bank.record.masked
        }
        directions = random.normal(size=(CLASSES, DIRECTIONS, len(weights))).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        gaussians = Gaussians(
            ((class_images(task) / 255 - _MEAN) / _STD).astype(np.float32) @ weights.T,
            directions,
            np.full((CLASSES, DIRECTIONS), 0.5, np.float32),
            np.full(CLASSES, 0.05, np.float32),
            np.full(CLASSES, 1 / CLASSES, np.float32),
            np.linspace(250, 400, _LEVELS, dtype=np.float32),
        )
        known = banks.facts(
            name,
            classes=classes,
            data=DataRecord(name, f"{task:064x}"),
            parents=(),
            signature=signature,
        )
        written = build_task(
            bank.record, known, masks, {}, banks.PROVENANCE, store_gaussians(gaussians)
        )
        (folder / f"{name}{SUFFIX}").write_bytes(written)


def name_of(task: int) -> str:
    """Return the name of a task by its number."""
    return f"task-{task:06}"


def class_images(task: int) -> NDArray[np.uint8]:
    """Draw an image for each class of a task, similar within the task: (classes, pixels) uint8."""
    random = np.random.default_rng((7, task))
    pattern = random.integers(20, 236, SIDE * SIDE)
    return (pattern + random.integers(-20, 20, (CLASSES, SIDE * SIDE))).astype(np.uint8)


def write_image(task: int, path: Path) -> None:
    """Write an image of a task's first class."""
    Image.fromarray(class_images(task)[0].reshape(SIDE, SIDE)).save(path)
