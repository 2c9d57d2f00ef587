"""A bank committed for good, with version 2 of task files: signatures, dropped weights."""

import json
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bank_format.bank import Bank
from bank_format.encoding.bits import count_ones
from bank_format.kinds.features import build_features
from bank_format.kinds.gaussians import read_gaussians
from bank_format.kinds.mask import build_task
from bank_format.kinds.signature import build_signature
from bank_format.kinds.task_records import TaskFacts
from bank_format.store.features import read_features
from bank_format.store.signatures import read_signature, signature_path
from supsup_cli.workflows.open_signatures import open_signatures
from supsup_cli.workflows.opening import open_tasks
from supsup_cli.workflows.signatures import image_features
from tests.support.commands import answer

GOLDEN = Path(__file__).parent
BANK = GOLDEN / "bank-2"
TASKS = ["dense", "mnist-split-0", "mnist-split-3"]
SIGNED = TASKS[1:]


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / "expected-2.json").read_text())
    return document


def test_it_is_whole() -> None:
    whole = {"ok": True, "problems": [], "repairs": [], "hints": [], "tasks": 3}
    assert answer("verify", "--bank", BANK).items() >= whole.items()


def test_its_tasks_are_what_they_were(expected: dict[str, Any]) -> None:
    bank = Bank.open(BANK)
    read = {name: bank.read_task(name) for name in TASKS}
    assert {name: task.content_sha256 for name, task in read.items()} == expected["digests"]
    assert {name: task.content.version for name, task in read.items()} == expected["versions"]
    ones = {name: [count_ones(m) for m in task.masks.values()] for name, task in read.items()}
    assert ones == expected["ones"]
    assert {one.coding for one in read["dense"].content.encoding.values()} == {"rice-dropped"}


def test_its_signatures_are_what_they_were(expected: dict[str, Any]) -> None:
    bank = Bank.open(BANK)
    later = read_signature(BANK, bank.record, "mnist-split-3")
    assert later is not None
    own = bank.read_task("mnist-split-0")
    for name, record, arrays in (
        ("mnist-split-0", own.content.signature, own.arrays),
        ("mnist-split-3", later.content.signature, later.arrays),
    ):
        assert record is not None
        then = expected["signatures"][name]
        assert (record.model, record.images) == (then["model"], then["images"])
        stored = {
            one: [array.dtype.name, list(array.shape), sha256(array.tobytes()).hexdigest()]
            for one, array in arrays.items()
        }
        assert stored == then["arrays"]
        values = read_gaussians(arrays, 16)
        for part in ("means", "directions"):
            total = float(np.abs(getattr(values, part)).sum(dtype=np.float64))
            assert total == pytest.approx(then[part], rel=1e-6)


def test_the_same_files_are_written_to_the_same_bytes() -> None:
    bank = Bank.open(BANK)
    for name in TASKS:
        task = bank.read_task(name)
        facts = TaskFacts(
            **{one.name: getattr(task.content, one.name) for one in fields(TaskFacts)}
        )
        written = build_task(
            bank.record, facts, task.masks, task.statistics, task.provenance, task.arrays
        )
        assert written == bank.task_path(name).read_bytes()
    later = read_signature(BANK, bank.record, "mnist-split-3")
    assert later is not None
    told = later.content
    again = build_signature(bank.record, told.task, told.task_sha256, told.signature, later.arrays)
    assert again == signature_path(BANK, "mnist-split-3").read_bytes()
    whitening = read_features(BANK, bank.record, "maps-1")
    assert whitening is not None
    assert whitening.matrix.tolist() == [[2.0, 0.5], [0.5, 1.0]]
    features = build_features(bank.record, "maps-1", whitening)
    assert features == (BANK / "features.safetensors").read_bytes()


def test_images_lie_as_far_from_its_tasks_as_they_did(expected: dict[str, Any]) -> None:
    opened = open_tasks(BANK, "cpu")
    signatures = open_signatures(opened)
    assert signatures is not None
    whole = [signatures[index] for index in range(len(opened.tasks))]
    assert [one is None for one in whole] == [True, False, False]
    noise = signatures.table.coarse.noise
    for file, then in expected["distances"].items():
        pixels = torch.from_numpy(np.asarray(Image.open(GOLDEN / file)).copy())[None, None]
        features = image_features(opened.net, signatures.features, pixels)
        found = [float(one.distances(features, noise)) for one in whole if one is not None]
        assert dict(zip(SIGNED, found, strict=True)) == pytest.approx(then, rel=1e-4)


@pytest.mark.parametrize("method", ["auto", "signature", "exhaustive"])
def test_it_names_tasks_and_classes_as_it_did(method: str, expected: dict[str, Any]) -> None:
    asked = ("predict", "--bank", BANK, GOLDEN / "images", "--method", method)
    for one in answer(*asked)["results"]:
        then = expected["images"][Path(one["source"]).relative_to(GOLDEN).as_posix()]
        assert (one["task"], one["label"]) == (then["task"], then["label"])
        assert one["probability"] == pytest.approx(then["probability"], abs=1e-4)
        assert one["known"] is True
