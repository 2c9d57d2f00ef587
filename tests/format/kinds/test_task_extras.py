"""Files of version 2: a task's signature and its own last layer travel in its file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.encoding.sealed import seal, unseal
from bank_format.errors import DamagedError, NewerFormatError
from bank_format.kinds.mask import build_task
from bank_format.kinds.task_extras import Extras, HeadRecord, SignatureRecord
from tests.support.banks import PROVENANCE, create, facts, masks

SIGNATURE = SignatureRecord("means-1", 40, ("means", "scale"))


def extras(classes: int) -> Extras:
    return Extras(
        {"means": np.arange(-6, 6, dtype=np.int8).reshape(3, 4), "scale": np.ones(3, np.float16)},
        {
            "weight": np.linspace(-1, 1, classes * 5, dtype=np.float16).reshape(classes, 5),
            "bias": np.zeros(classes, np.float16),
        },
    )


def with_extras(name: str) -> tuple[object, Extras]:
    plain = facts(name)
    told = dataclasses.replace(plain, signature=SIGNATURE, head=HeadRecord(5))
    return told, extras(len(plain.classes))


def test_signature_and_head_come_back_with_their_types_and_shapes(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    told, arrays = with_extras("pets")
    added = bank.add_task(told, masks(bank), {}, PROVENANCE, arrays)
    read = Bank.open(bank.path).read_task("pets")
    assert read.content.version == added.content.version == 2
    assert read.content.signature == SIGNATURE
    for kind in ("signature", "head"):
        stored, found = getattr(arrays, kind), getattr(read.extras, kind)
        assert stored.keys() == found.keys()
        for name, array in stored.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


def test_a_task_without_them_is_a_file_of_version_1(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    task = bank.add_task(facts("pets"), masks(bank), {}, PROVENANCE)
    _, metadata = unseal(bank.task_path("pets").read_bytes(), "pets")
    assert task.content.version == 1
    assert "signature" not in metadata["content"]
    assert "head" not in metadata["content"]


def test_the_digest_covers_the_arrays(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    told, arrays = with_extras("pets")
    one = bank.add_task(told, masks(bank), {}, PROVENANCE, arrays)
    arrays.signature["means"][0, 0] += 1
    bank.remove_task("pets")
    other = bank.add_task(told, masks(bank), {}, PROVENANCE, arrays)
    assert one.content_sha256 != other.content_sha256


def test_a_copy_under_another_name_keeps_them(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    told, arrays = with_extras("pets")
    bank.add_task(told, masks(bank), {}, PROVENANCE, arrays)
    copy = bank.copy_task("pets", bank, "other")
    assert copy.content.signature == SIGNATURE
    np.testing.assert_array_equal(copy.extras.head["weight"], arrays.head["weight"])


def test_arrays_that_are_not_those_told_of_are_refused(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    told, arrays = with_extras("pets")
    wrong = [
        Extras({}, arrays.head),
        Extras(arrays.signature, {}),
        Extras(arrays.signature, arrays.head | {"bias": np.zeros(9, np.float16)}),
        Extras(arrays.signature, arrays.head | {"bias": arrays.head["bias"].astype(np.float32)}),
        Extras(arrays.signature, arrays.head | {"bias": arrays.head["bias"] + np.float16(np.inf)}),
    ]
    for one in wrong:
        with pytest.raises(ValueError, match="found, expected"):
            build_task(bank.record, told, masks(bank), {}, PROVENANCE, one)


@pytest.mark.parametrize(("version", "error"), [(1, DamagedError), (3, NewerFormatError)])
def test_another_version_with_the_same_content_is_refused(
    tmp_path: Path, version: int, error: type[Exception]
) -> None:
    bank = create(tmp_path / "bank")
    told, arrays = with_extras("pets")
    bank.add_task(told, masks(bank), {}, PROVENANCE, arrays)
    path = bank.task_path("pets")
    tensors, metadata = unseal(path.read_bytes(), "pets")
    metadata["content"]["version"] = version
    path.unlink()
    path.write_bytes(seal(tensors, metadata))
    with pytest.raises(error):
        bank.read_task("pets")
