"""How a task's images look, as its signature stores it."""

import numpy as np

from bank_format.kinds.appearance import (
    Appearance,
    images_seen,
    read_appearance,
    store_appearance,
)

SIZE = 5


def _appearance() -> Appearance:
    random = np.random.RandomState(0)
    matrix = np.triu(random.randn(SIZE, SIZE)).astype(np.float32)
    quantiles = np.sort(random.rand(17)).astype(np.float32)
    return Appearance(random.randn(SIZE).astype(np.float32), matrix, quantiles, 300)


def test_what_is_stored_is_read() -> None:
    one = _appearance()
    stored = store_appearance(one)
    assert stored["signature/look-factors"].shape == (SIZE * (SIZE + 1) // 2,)
    read = read_appearance(stored, SIZE, 300)
    assert read is not None
    for part in ("mean", "matrix", "quantiles"):
        np.testing.assert_array_equal(getattr(read, part), getattr(one, part))
    assert read.images == 300


def test_fewer_large_images_are_looked_at() -> None:
    assert [images_seen(count, (3, 32, 32)) for count in (50, 6000)] == [50, 2000]
    assert [images_seen(count, (3, 224, 224)) for count in (50, 6000)] == [50, 320]


def test_a_reader_of_other_numbers_finds_none() -> None:
    stored = dict(store_appearance(_appearance()))
    assert read_appearance(stored, SIZE + 1, 300) is None
    assert read_appearance({}, SIZE, 300) is None
    for name, one in stored.items():
        rest = {other: array for other, array in stored.items() if other != name}
        assert read_appearance(rest, SIZE, 300) is None
        for strange in (one.astype(np.float16), one[..., None], one[:-1].reshape(1, -1)):
            assert read_appearance({**stored, name: strange}, SIZE, 300) is None
