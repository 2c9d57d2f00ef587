"""features.safetensors: made once, checked when read, made again if it cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import verify
from bank_format.encoding.sealed import seal, unseal
from bank_format.errors import DamagedError, NewerFormatError, OtherBaseError
from bank_format.kinds.features import Whitening, build_features, parse_features
from bank_format.store.features import keep_features, read_features
from tests.support.banks import create, flips, spec

FILE = "features.safetensors"


def _whitening(size: int = 5) -> Whitening:
    random = np.random.RandomState(0)
    return Whitening(
        random.randn(size).astype(np.float32), random.randn(size, size).astype(np.float32)
    )


def _kept(path: Path) -> Bank:
    bank = create(path)
    keep_features(bank.path, bank.record, "maps-1", _whitening())
    return bank


def test_it_comes_back_for_its_model_alone(tmp_path: Path) -> None:
    bank = _kept(tmp_path / "bank")
    read = read_features(bank.path, bank.record, "maps-1")
    assert read is not None
    np.testing.assert_array_equal(read.mean, _whitening().mean)
    np.testing.assert_array_equal(read.matrix, _whitening().matrix)
    assert read_features(bank.path, bank.record, "maps-2") is None
    assert verify(bank.path).problems == ()


def test_where_there_is_none_or_the_bank_cannot_be_written_nothing_fails(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    assert read_features(bank.path, bank.record, "maps-1") is None
    (bank.path / FILE).mkdir()
    keep_features(bank.path, bank.record, "maps-1", _whitening())
    assert [path.name for path in bank.path.iterdir() if path.name.startswith(".")] == []


def test_every_flipped_bit_is_found_costs_no_answer_and_is_set_aside(tmp_path: Path) -> None:
    bank = _kept(tmp_path / "bank")
    path = bank.path / FILE
    for place, data in flips(path.read_bytes(), every=61):
        path.write_bytes(data)
        with pytest.raises(DamagedError, match=FILE):
            parse_features(data, bank.record, FILE)
        assert read_features(bank.path, bank.record, "maps-1") is None
        assert [one.file for one in verify(bank.path).problems] == [FILE], place
    assert repair(bank.path).problems == ()
    assert not path.exists()
    keep_features(bank.path, bank.record, "maps-1", _whitening())
    assert verify(bank.path).problems == ()
    assert read_features(bank.path, bank.record, "maps-1") is not None


def test_of_another_base_or_a_newer_version_it_is_not_used(tmp_path: Path) -> None:
    bank, other = _kept(tmp_path / "one"), create(tmp_path / "two", spec(seed=5))
    data = (bank.path / FILE).read_bytes()
    with pytest.raises(OtherBaseError, match="this bank has"):
        parse_features(data, other.record, FILE)
    (other.path / FILE).write_bytes(data)
    assert read_features(other.path, other.record, "maps-1") is None
    assert [one.file for one in verify(other.path).problems] == [FILE]
    tensors, metadata = unseal(data, FILE)
    assert isinstance(metadata, dict)
    newer = seal(tensors, {"content": metadata["content"] | {"version": 2}})
    with pytest.raises(NewerFormatError, match=FILE):
        parse_features(newer, bank.record, FILE)


@pytest.mark.parametrize(
    "wrong",
    [
        Whitening(np.zeros(3, np.float32), np.zeros((3, 4), np.float32)),
        Whitening(np.zeros((3, 1), np.float32), np.zeros((3, 3), np.float32)),
        Whitening(np.zeros(3, np.float64), np.zeros((3, 3), np.float32)),  # type: ignore[arg-type]
        Whitening(np.full(3, np.nan, np.float32), np.zeros((3, 3), np.float32)),
        Whitening(np.zeros(3, np.float32), np.full((3, 3), np.inf, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_neither_written_nor_read(
    tmp_path: Path, wrong: Whitening, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = create(tmp_path / "bank").record
    with pytest.raises(ValueError, match=r"found|not"):
        build_features(record, "maps-1", wrong)
    with monkeypatch.context() as patch:
        patch.setattr("bank_format.kinds.features._check", lambda _: None)
        data = build_features(record, "maps-1", wrong)
    with pytest.raises(DamagedError, match=FILE):
        parse_features(data, record, FILE)
