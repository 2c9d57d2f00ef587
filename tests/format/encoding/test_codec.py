import doctest
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bank_format
from bank_format.encoding.bits import pack, packed_size, padding_is_zero, unpack
from bank_format.encoding.codec import (
    DroppedCoding,
    Encoding,
    PackedCoding,
    RiceCoding,
    decode,
    encode,
)
from bank_format.index.writing import update_index
from tests.support.banks import PROVENANCE, create, facts, flips, spec

FORMAT = Path(bank_format.__file__).with_name("FORMAT.md")


def rice_bit_by_bit(bits: NDArray[np.bool_], k: int) -> bytes:
    """Encode by the definition, one bit at a time, as text."""
    remainders = quotients = ""
    gap = 0
    for bit in bits.reshape(-1):
        if bit:
            remainders += "".join(str(gap >> place & 1) for place in range(k))
            quotients += "0" * (gap >> k) + "1"
        gap = 0 if bit else gap + 1
    parts = (part + "0" * (-len(part) % 8) for part in (remainders, quotients))
    text = "".join(parts)
    return bytes(int(text[i : i + 8][::-1], 2) for i in range(0, len(text), 8))


def random_bits(count: int, density: float, seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(count) < density


@settings(max_examples=200)
@given(st.integers(1, 3000), st.sampled_from([0, 0.001, 0.01, 0.1, 0.3, 0.6, 1]), st.integers(0, 9))
def test_decode_undoes_encode_and_follows_the_definition(
    count: int, density: float, seed: int
) -> None:
    bits = random_bits(count, density, seed)
    encoding, data = encode(bits)
    assert np.array_equal(decode(encoding, data, count), pack(bits))
    rarer = ~bits if 2 * bits.sum() > count else bits
    sizes = {k: len(rice_bit_by_bit(rarer, k)) for k in range(14)}
    best = min(sizes, key=lambda k: (sizes[k], k))
    if isinstance(encoding, RiceCoding | DroppedCoding):
        dropped = isinstance(encoding, DroppedCoding)
        assert dropped == (2 * bits.sum() > count)
        assert (encoding.zeros if dropped else encoding.ones) == rarer.sum()
        assert data.tobytes() == rice_bit_by_bit(rarer, encoding.k)
        assert data.size < packed_size(count)
        assert encoding.k == best
    else:
        assert data.tobytes() == pack(bits).tobytes()
        assert sizes[best] >= packed_size(count)


@pytest.mark.parametrize("density", [0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.38, 0.45, 0.5])
def test_a_mask_takes_little_more_than_its_entropy(density: float) -> None:
    count = 1_000_000
    nats = -density * math.log(density) - (1 - density) * math.log(1 - density)
    bound = count * nats / math.log(2) / 8
    for share in (density, 1 - density):
        bits = random_bits(count, share)
        encoding, data = encode(bits)
        assert data.size <= 1.05 * bound + 256
        assert np.array_equal(decode(encoding, data, count), pack(bits))


def test_clustered_ones_get_their_best_parameter_too() -> None:
    bits = np.zeros(100_000, dtype=np.bool_)
    bits[::9_000] = True
    bits[50_000:50_700] = True
    encoding, data = encode(bits)
    assert isinstance(encoding, RiceCoding)
    assert data.size == min(len(rice_bit_by_bit(bits, k)) for k in range(20))
    assert np.array_equal(decode(encoding, data, bits.size), pack(bits))


@pytest.mark.parametrize(
    "density", [0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.34, 0.37, 0.38, 0.4, 0.5]
)
def test_size_is_within_5_percent_of_the_entropy(density: float) -> None:
    count = 400_000
    _, data = encode(random_bits(count, density))
    entropy = -(density * np.log2(density) + (1 - density) * np.log2(1 - density))
    assert data.size <= 1.05 * entropy * count / 8


@given(st.binary(max_size=12), st.integers(0, 90), st.integers(0, 32), st.integers(1, 120))
def test_no_bytes_do_more_than_be_refused(data: bytes, ones: int, k: int, count: int) -> None:
    stored = np.frombuffer(data, dtype=np.uint8)
    encodings: list[Encoding] = [PackedCoding(), RiceCoding("rice", ones, k)]
    for encoding in encodings:
        try:
            packed = decode(encoding, stored, count)
        except ValueError:
            continue
        assert packed.shape == (packed_size(count),)
        assert padding_is_zero(packed, count)


def test_two_codes_of_one_k_are_never_the_same_mask() -> None:
    count = 500
    bits = random_bits(count, 0.05)
    encoding, data = encode(bits)
    assert isinstance(encoding, RiceCoding)
    for _, changed in flips(data.tobytes()):
        try:
            found = decode(encoding, np.frombuffer(changed, np.uint8), count)
        except ValueError:
            continue
        assert not np.array_equal(unpack(found, count), bits)


def code(ones: int, k: int, *data: int) -> tuple[RiceCoding, NDArray[np.uint8]]:
    return RiceCoding("rice", ones, k), np.array(data, dtype=np.uint8)


@pytest.mark.parametrize(
    ("encoding", "data", "message"),
    [
        (*code(1, 3, 0x02, 0x01, 0), "last byte is zero"),
        (*code(1, 3, 0x0A, 0x01), "padding bits after the remainders"),
        (*code(1, 3, 0x02), "0 quotients found, expected 1"),
        (*code(1, 3, 0x02, 0x03), "2 quotients found, expected 1"),
        (*code(10**12, 0, 0x01), "1 quotients found, expected 1000000000000"),
        (*code(10**12, 32, 0x01), "remainders take 4000000000000 bytes, 1 found"),
        (*code(1, 3, 0x00, 0, 0x20), "a position after the last of 100 weights"),
        (*code(1, 6, 0x3F, 0x02), "last position is 127, expected below 100"),
        (*code(1, 0, *[0] * 12, 0x10), "fewer than 13 packed"),
        (PackedCoding(), np.zeros(12, np.uint8), "expected uint8"),
        (PackedCoding(), np.full(13, 255, np.uint8), "padding bits 0xf found, expected zero"),
    ],
)
def test_each_deviation_is_named(encoding: Encoding, data: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(encoding, data, 100)


def test_parameters_out_of_range_are_refused() -> None:
    for ones, k in ((1, -1), (1, 33), (-1, 0)):
        with pytest.raises(ValueError, match="expected"):
            RiceCoding("rice", ones, k)


def test_an_empty_mask_takes_no_bytes() -> None:
    encoding, data = encode(np.zeros((30, 10), dtype=np.bool_))
    assert encoding == RiceCoding("rice", 0, 0)
    assert data.size == 0
    assert not decode(encoding, data, 300).any()


def test_a_stranger_reads_a_bank_by_the_format_document(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank", spec((("first.weight", (5, 6)), ("last.weight", (30, 5)))))
    generator = np.random.default_rng(0)
    last = np.zeros((30, 5), dtype=np.bool_)
    last[7, 3] = True
    masks = {"first.weight": generator.random((5, 6)) < 0.5, "last.weight": last}
    bank.add_task(facts("pets"), masks, {"mean": np.ones(3, np.float32)}, PROVENANCE)
    update_index(bank)
    result = doctest.testfile(str(FORMAT), module_relative=False, globs={"bank": bank.path})
    assert result.failed == 0
    assert result.attempted >= 30


def test_the_worked_example_of_the_format_document_is_what_is_written() -> None:
    bits = np.zeros(200, dtype=np.bool_)
    bits[[3, 40, 41, 100]] = True
    encoding, data = encode(bits)
    assert encoding == RiceCoding("rice", 4, 3)
    assert data.tobytes().hex() == "23046140"
