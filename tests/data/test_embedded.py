"""The embedded MNIST: its content, and that damage is noticed."""

import gzip
import hashlib
from importlib import resources

import numpy as np
import pytest

from supsup_cli.data import embedded
from supsup_cli.data.embedded import load_mnist, parse_idx, source_digest
from supsup_cli.errors import StorageError

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
IDX = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(6))


@pytest.mark.parametrize(("train", "count"), [(True, 60_000), (False, 10_000)])
def test_shapes_types_and_range(train: bool, count: int) -> None:
    images, labels = load_mnist(train)
    assert images.shape == (count, 1, 28, 28)
    assert images.dtype == np.uint8
    assert labels.shape == (count,)
    assert labels.dtype == np.int64
    assert set(labels.tolist()) == set(range(10))


def test_first_labels_are_the_published_ones() -> None:
    assert load_mnist(True)[1][:5].tolist() == [5, 0, 4, 1, 9]
    assert load_mnist(False)[1][:5].tolist() == [7, 2, 1, 0, 4]


def test_mean_and_deviation_are_the_published_ones() -> None:
    images, _ = load_mnist(True)
    assert round(float(images.mean()) / 255, 4) == 0.1307
    assert round(float(images.std()) / 255, 4) == 0.3081


def test_shared_arrays_cannot_be_changed() -> None:
    images, labels = load_mnist(False)
    assert not images.flags.writeable
    assert not labels.flags.writeable


def test_source_digest_covers_the_four_files() -> None:
    folder = resources.files(embedded)
    whole = b"".join(folder.joinpath(name).read_bytes() for name in FILES)
    assert source_digest() == hashlib.sha256(whole).hexdigest()


def test_notice_names_origin_and_licence() -> None:
    notice = resources.files(embedded).joinpath("NOTICE").read_text()
    for text in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", *FILES):
        assert text in notice


def test_the_test_half_reads_no_training_file(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def record(name: str) -> bytes:
        read.append(name)
        return resources.files(embedded).joinpath(name).read_bytes()

    load_mnist.cache_clear()
    monkeypatch.setattr(embedded, "_read", record)
    load_mnist(False)
    assert read == list(FILES[2:])


def test_parse_idx() -> None:
    assert parse_idx(IDX, (2, 3), "f").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "data",
    [b"", IDX[:5], IDX[:-1], IDX + b"\0", b"\1" + IDX[1:], IDX[:3] + b"\3" + IDX[4:]],
    ids=["empty", "half a header", "short", "long", "magic", "rank"],
)
def test_parse_idx_refuses(data: bytes) -> None:
    with pytest.raises(StorageError, match=r"^f: .*expected"):
        parse_idx(data, (2, 3), "f")


def test_parse_idx_refuses_another_shape() -> None:
    with pytest.raises(StorageError, match="expected 00000802"):
        parse_idx(IDX, (3, 2), "f")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damaged_file_is_named(monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    whole = gzip.compress(IDX)

    def read(name: str) -> bytes:
        if damage == "missing":
            raise StorageError(f"{name}: No such file")
        if damage == "truncated":
            return whole[:-9]
        return whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]

    load_mnist.cache_clear()
    monkeypatch.setattr(embedded, "_read", read)
    with pytest.raises(StorageError, match="t10k-images"):
        load_mnist(False)
