from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank_format.encoding import bits

BITS = st.lists(st.booleans(), min_size=1, max_size=70)


@given(BITS)
def test_bit_i_is_bit_i_mod_8_of_byte_i_div_8(values: list[bool]) -> None:
    packed = bits.pack(np.array(values))
    assert packed.size == bits.packed_size(len(values)) == -(-len(values) // 8)
    assert [int(packed[i // 8]) >> i % 8 & 1 for i in range(len(values))] == values
    assert int(packed[-1]) >> ((len(values) - 1) % 8 + 1) == 0


@given(BITS)
def test_unpack_undoes_pack(values: list[bool]) -> None:
    packed = bits.pack(np.array(values))
    unpacked = bits.unpack(packed, len(values))
    assert unpacked.dtype == np.bool_
    assert unpacked.tolist() == values


def test_shapes_are_read_in_c_order() -> None:
    array = np.zeros((2, 3), dtype=np.bool_)
    array[0, 2] = array[1, 0] = True
    assert bits.pack(array).tolist() == [0b1100]
    assert bits.pack(array.T).tolist() == [0b10010]


@given(st.binary(min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_counts_equal_those_of_python_integers(data: bytes, random: object) -> None:
    first = np.frombuffer(data, dtype=np.uint8)
    second = np.frombuffer(data[::-1], dtype=np.uint8)
    a, b = (int.from_bytes(x.tobytes(), "little") for x in (first, second))
    assert bits.count_ones(first) == a.bit_count()
    assert bits.overlap(first, second) == (a & b).bit_count()
    assert bits.distance(first, second) == (a ^ b).bit_count()


def test_padding_is_found_whichever_bit_it_is() -> None:
    for count in range(1, 17):
        clean = bits.pack(np.ones(count, dtype=np.bool_))
        assert bits.padding_is_zero(clean, count)
        for bit in range(count, 8 * clean.size):
            dirty = clean.copy()
            dirty[bit // 8] |= np.uint8(1 << bit % 8)
            assert not bits.padding_is_zero(dirty, count)


def test_wrong_types_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected bool"):
        bits.pack(np.zeros(8, dtype=np.uint8))
    wrong: list[Any] = [np.zeros(2, np.uint8), np.zeros((1, 1), np.uint8), np.zeros(1, np.int8)]
    for packed in wrong:
        with pytest.raises(ValueError, match="expected uint8"):
            bits.unpack(packed, 8)
    with pytest.raises(ValueError, match=r"size|length"):
        bits.overlap(np.zeros(2, np.uint8), np.zeros(3, np.uint8))


@given(masks=st.integers(0, 20), count=st.integers(1, 200), seed=st.integers(0, 99))
def test_counts_of_many_masks_are_those_of_unpacked_bits(masks: int, count: int, seed: int) -> None:
    kept = np.random.default_rng(seed).random((masks, count)) < 0.5
    packed = np.packbits(kept, axis=1, bitorder="little")
    digits = bits.count_digits(packed)
    counts = sum(
        (bits.unpack(one, count).astype(np.int64) << place for place, one in enumerate(digits)),
        np.zeros(count, dtype=np.int64),
    )
    assert counts.tolist() == kept.sum(0).tolist()
    overlaps = (kept @ counts).tolist()
    assert bits.counted_overlaps(packed, digits).tolist() == overlaps
    assert bits.count_ones_of_each(packed).tolist() == kept.sum(1).tolist()
    with pytest.MonkeyPatch.context() as context:  # as for masks with ones beyond position 2**32
        context.setattr(bits, "_BYTES_OF_32_BITS", 0)
        assert bits.counted_overlaps(packed, digits).tolist() == overlaps
