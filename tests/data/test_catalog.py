"""Named data: splits, digests, metadata; against the definitions, not the implementation."""

import re
import subprocess
import sys

import numpy as np
import pytest

from supsup_cli.data import embedded
from supsup_cli.data.catalog import digest, known, load, load_test
from supsup_cli.data.embedded import load_mnist
from supsup_cli.data.splits import Split, choose, part_calibration
from supsup_cli.errors import UsageError

GREY = (1, 28, 28)
PINNED = "59b19872a6fb673f06e0eaee9036155863a34e688c9e39ea9efac5ebc6d0e1bf"


def _rows(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]


def test_mnist_is_parted_without_loss_or_overlap() -> None:
    data = load("mnist", GREY, seed=3)
    images, labels = load_mnist(True)
    assert (len(data.train), len(data.calibration), len(data.test)) == (57_000, 3_000, 10_000)
    # MNIST's training images are distinct, so their bytes identify them
    parts = _rows(data.train) + _rows(data.calibration)
    assert sorted(parts) == sorted(image.tobytes() for image in images)
    assert len(set(_rows(data.train)) & set(_rows(data.calibration))) == 0
    counted = np.bincount(data.train.labels) + np.bincount(data.calibration.labels)
    assert counted.tolist() == np.bincount(labels).tolist()
    assert np.array_equal(data.test.images, load_mnist(False)[0])


def test_named_data_names_itself() -> None:
    data = load("mnist-split-03", GREY)
    assert data.name == "mnist-split-3"
    assert data.classes == ("6", "7")
    assert data.outputs == (6, 7)
    assert data.source == ""
    assert data.broken == ()
    assert data.digest == digest("mnist-split-3", GREY)
    assert load_test("mnist-perm-2", GREY).classes == tuple("0123456789")
    assert load_test("mnist-perm-2", GREY).outputs == tuple(range(10))


@pytest.mark.parametrize("name", ["mnist", "mnist-perm-7", "mnist-rot-30", "mnist-split-1"])
def test_load_test_is_the_test_split(name: str) -> None:
    whole, test = load(name, GREY), load_test(name, GREY)
    assert np.array_equal(whole.test.images, test.test.images)
    assert np.array_equal(whole.test.labels, test.test.labels)
    assert (whole.name, whole.classes, whole.outputs) == (test.name, test.classes, test.outputs)


def test_train_and_test_share_one_permutation() -> None:
    order = np.random.RandomState(7).permutation(784)
    data = load("mnist-perm-7", GREY)
    plain = load("mnist", GREY)
    for name in ("train", "calibration", "test"):
        made, base = getattr(data, name), getattr(plain, name)
        assert np.array_equal(made.images.reshape(-1, 784), base.images.reshape(-1, 784)[:, order])
        assert np.array_equal(made.labels, base.labels)


def test_load_test_reads_no_training_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_test(train: bool) -> tuple[np.ndarray, np.ndarray]:
        assert not train
        return load_mnist(train)

    monkeypatch.setattr(embedded, "load_mnist", only_test)
    assert len(load_test("mnist-rot-90", GREY).test) == 10_000


def test_calibration_depends_on_the_seed_alone() -> None:
    first, again, other = (load("mnist-split-0", GREY, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.calibration.images, again.calibration.images)
    assert not np.array_equal(first.calibration.images, other.calibration.images)
    assert first.digest == other.digest


def test_calibration_draw_never_changes() -> None:
    labels = np.zeros(79, dtype=np.int64)
    images = np.arange(79, dtype=np.uint8).reshape(79, 1, 1, 1)
    _, calibration = part_calibration(images, labels, 0)
    assert calibration.images.ravel().tolist() == [2, 4, 53]


# 5 %, or the 20 without which no image can be called new, if that is no more than a quarter.
COUNTS = [(0, 0), (2, 0), (19, 0), (20, 1), (79, 3), (80, 20), (399, 20), (400, 20), (2000, 100)]


@pytest.mark.parametrize(("count", "expected"), COUNTS)
def test_calibration_share(count: int, expected: int) -> None:
    images = np.zeros((count, 1, 1, 1), dtype=np.uint8)
    train, calibration = part_calibration(images, np.zeros(count, dtype=np.int64), 0)
    assert (len(train), len(calibration)) == (count - expected, expected)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_leaves_every_class_an_image(seed: int) -> None:
    labels = np.array([0] * 38 + [1, 2], dtype=np.int64)
    images = np.zeros((40, 1, 1, 1), dtype=np.uint8)
    train, calibration = part_calibration(images, labels, seed)
    assert set(train.labels.tolist()) == {0, 1, 2}
    assert set(calibration.labels.tolist()) == {0}


def test_choose() -> None:
    assert choose(5, None, 0).tolist() == choose(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    picked = choose(1000, 50, 4)
    assert picked.tolist() == sorted(set(picked.tolist()))
    assert len(picked) == 50
    assert picked.tolist() == choose(1000, 50, 4).tolist() != choose(1000, 50, 5).tolist()
    with pytest.raises(ValueError, match="limit -1"):
        choose(5, -1, 0)


def test_digests_differ_where_the_images_do() -> None:
    names = ["mnist", "mnist-perm-0", "mnist-perm-1", "mnist-rot-0", "mnist-rot-1", "mnist-split-0"]
    digests = {digest(name, shape) for name in names for shape in (GREY, (3, 32, 32))}
    assert len(digests) == 2 * len(names)
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in digests)


def test_digest_is_of_the_meaning_not_the_spelling() -> None:
    assert digest("mnist-perm-007", GREY) == digest("mnist-perm-7", GREY)
    assert digest("mnist-rot-90.0", GREY) == digest("mnist-rot-90", GREY)


def test_digest_never_changes() -> None:
    assert digest("mnist-perm-7", GREY) == PINNED


def test_other_inputs_are_fitted() -> None:
    data = load_test("mnist-split-0", (3, 32, 32))
    assert data.test.images.shape == (2_115, 3, 32, 32)
    assert np.array_equal(data.test.images[:, 0], data.test.images[:, 2])


def test_unknown_data_is_refused() -> None:
    for call in (load, load_test, digest):
        with pytest.raises(UsageError, match="unknown data"):
            call("cifar9-split-0", GREY)


def test_known_forms_are_true() -> None:
    rows = {row.form: row for row in known()}
    examples = {"mnist-perm-N": "mnist-perm-7", "mnist-rot-DEGREES": "mnist-rot-30"}
    for form, row in rows.items():
        if row.needs_root:
            continue
        data = load(examples.get(form, form), GREY)
        assert len(data.train) + len(data.calibration) == row.train
        assert len(data.test) == row.test
        assert len(data.classes) == row.classes


def test_permuted_data_needs_no_torch() -> None:
    script = (
        "import sys; from supsup_cli.data.catalog import load_test, digest, known;"
        "load_test('mnist-perm-1', (1, 28, 28)); digest('mnist', (1, 28, 28)); known();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
