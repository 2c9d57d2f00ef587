"""The index's two kinds of files: what was written is read back, and nothing else is accepted."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.encoding.sealed import seal, unseal
from bank_format.errors import BankError, DamagedError, NewerFormatError, OtherBaseError
from bank_format.index.coarse import from_bfloat16, joined_rows
from bank_format.index.list_part import build_list, parse_list
from bank_format.index.list_rows import list_of
from bank_format.index.rows import sample_size
from bank_format.index.signature_part import build_signatures, parse_signatures
from bank_format.index.task_rows import ReadTask, read_task_row
from bank_format.kinds.gaussians import read_gaussians
from tests.support.banks import FEATURES, add, add_signed, create, flips, gaussians, spec

NAMES = ("cars", "dogs", "pets")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    for seed, name in enumerate(NAMES):
        add_signed(made, name, seed)
    return made


def read(bank: Bank) -> list[ReadTask]:
    return [read_task_row(bank, name, None, None) for name in bank.tasks()]


def both(bank: Bank) -> tuple[bytes, bytes]:
    found = read(bank)
    coarse = joined_rows([one.coarse for one in found if one.coarse is not None])
    rows = list_of([one.row for one in found], sample_size(bank.record))
    return build_list(bank.record, rows), build_signatures(bank.record, coarse)


def test_rows_come_back(bank: Bank) -> None:
    data, coarse = both(bank)
    found = parse_list(data, bank.record, "list")
    assert [*found.values()] == [one.row for one in read(bank)]
    rows = parse_signatures(coarse, bank.record, "signatures")
    for place, one in enumerate(read(bank)):
        assert one.coarse is not None
        assert rows.same(place, one.coarse)
        assert not rows.same((place + 1) % len(NAMES), one.coarse)
    assert both(bank) == (data, coarse)


def test_a_row_says_what_its_file_says(bank: Bank) -> None:
    task, data = bank.read_sealed("pets")
    row = read(bank)[2].row
    assert (row.task, row.kind, row.data, row.recipe) == ("pets", "mask", "pets", "paper")
    assert row.file.seal == data[-32:]
    assert row.content_sha256.hex() == task.content_sha256
    assert row.accuracy == task.accuracy == 0.9
    assert (row.classes, row.steps, row.seed, row.features) == (2, 1000, 3, FEATURES)
    assert row.ones == round(task.density * task.weights)
    # All bytes of a small mask are kept.
    assert row.sample == b"".join(mask.tobytes() for mask in task.masks.values())


def test_coarse_numbers_are_those_of_the_signature(bank: Bank) -> None:
    for seed, one in enumerate(read(bank)):
        coarse, whole = one.coarse, read_gaussians(gaussians(seed), FEATURES)
        assert coarse is not None
        shares = whole.shares.astype(float)
        centre = shares @ whole.means
        np.testing.assert_allclose(coarse.centres[0] * coarse.centre_scales, centre, atol=0.02)
        np.testing.assert_allclose(coarse.means * coarse.scales[:, None], whole.means)
        noise = whole.noise.astype(float).mean()
        extra = np.maximum(whole.variances - noise, 0)
        within = np.einsum("m,mk,mkd->d", shares, extra, whole.directions.astype(float) ** 2)
        np.testing.assert_allclose(from_bfloat16(coarse.within[0]), within + noise, rtol=0.005)
        apart = shares @ (whole.means - centre) ** 2
        np.testing.assert_allclose(from_bfloat16(coarse.between[0]), apart, rtol=0.005)
        stretch = np.log(np.maximum(whole.variances, noise) / noise).sum(1)
        assert coarse.own[0] == pytest.approx(FEATURES + shares @ stretch)
        assert coarse.noise[0] == pytest.approx(noise)


@pytest.mark.parametrize("part", [0, 1], ids=["list", "signatures"])
def test_flipped_bits_and_missing_bytes_are_found(bank: Bank, part: int) -> None:
    data, parse = both(bank)[part], (parse_list, parse_signatures)[part]
    parse(data, bank.record, "index")
    for _, flipped in flips(data, 5):
        with pytest.raises(DamagedError, match="index: "):
            parse(flipped, bank.record, "index")
    for size in range(0, len(data), 3):
        with pytest.raises(DamagedError):
            parse(data[:size], bank.record, "index")


def test_what_is_newer_or_of_another_bank_is_told_apart(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    for data, parse in zip(both(bank), (parse_list, parse_signatures), strict=True):
        tensors, metadata = unseal(data, "index")
        assert isinstance(metadata, dict)
        content = metadata["content"]
        assert isinstance(content, dict)
        newer = seal(tensors, {"content": content | {"version": 2}})
        with pytest.raises(NewerFormatError, match="version 2"):
            parse(newer, bank.record, "index")
        with pytest.raises(OtherBaseError, match="this bank has"):
            parse(data, other.record, "index")


@pytest.mark.parametrize("part", [0, 1], ids=["list", "signatures"])
def test_a_right_seal_over_wrong_tensors_is_damage(bank: Bank, part: int) -> None:
    data, parse = both(bank)[part], (parse_list, parse_signatures)[part]
    tensors, metadata = unseal(data, "index")
    for name, tensor in tensors.items():
        rest = {other: one for other, one in tensors.items() if other != name}
        empty, short = np.empty(0, tensor.dtype), tensor[:-1]
        for wrong in (rest, rest | {name: empty}, rest | {name: short}, tensors | {"x": short}):
            with pytest.raises(DamagedError, match="index: "):
                parse(seal(wrong, metadata), bank.record, "index")
    for name in ("texts", "numbers", "counts", "shares", "noise", "within"):
        if name in tensors:
            # Every number −1, NaN or infinite; every text a line feed.
            filled = np.full_like(tensors[name].view(np.uint8), 0x0A if name == "texts" else 0xFF)
            wrong = tensors | {name: filled.view(tensors[name].dtype)}
            with pytest.raises(DamagedError):
                parse(seal(wrong, metadata), bank.record, "index")


def test_tasks_without_a_signature_have_a_row_all_the_same(bank: Bank) -> None:
    add(bank, "mice")
    row = next(one for one in read(bank) if one.row.task == "mice")
    assert (row.row.features, row.coarse, row.signature) == (0, None, None)
    data = build_list(bank.record, list_of([row.row], sample_size(bank.record)))
    assert [*parse_list(data, bank.record, "list").values()] == [row.row]


def test_reading_takes_no_more_memory_than_the_file_asks_for(bank: Bank) -> None:
    """A count of more rows than there are bytes is refused before any row is made."""
    tensors, metadata = unseal(both(bank)[0], "index")
    assert isinstance(metadata, dict)
    content = metadata["content"]
    assert isinstance(content, dict)
    huge = seal(tensors, {"content": content | {"tasks": 2**40}})
    with pytest.raises(BankError, match="expected"):
        parse_list(huge, bank.record, "index")
