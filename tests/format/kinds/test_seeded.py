import math

import numpy as np
import pytest

from bank_format.encoding.bits import pack, unpack
from bank_format.kinds.bank_json import ParameterRecord
from bank_format.kinds.seeded import seeded_signs, signed_constant_scale, signed_constant_tensors

WORD = 2**64 - 1


def philox(counter: int, key: list[int]) -> list[int]:
    """Salmon et al. 2011, Philox4x64-10: one block of four words, in whole numbers."""
    x = [counter & WORD, counter >> 64 & WORD, 0, 0]
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [b >> 64 ^ x[1] ^ k0, b & WORD, a >> 64 ^ x[3] ^ k1, a & WORD]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & WORD, (k1 + 0xBB67AE8584CAA73B) & WORD
    return x


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (7, 3), (2**63 - 1, 9999)])
def test_signs_are_those_of_philox_4x64_10(seed: int, index: int) -> None:
    words = [word for block in range(1, 6) for word in philox(block, [seed, index])]
    expected = b"".join(word.to_bytes(8, "little") for word in words)
    assert seeded_signs(seed, index, 20 * 64).tobytes() == expected


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 1000])
def test_fewer_signs_are_the_first_of_more_and_padding_is_zero(count: int) -> None:
    more, fewer = seeded_signs(5, 1, 2000), seeded_signs(5, 1, count)
    assert np.array_equal(unpack(fewer, count), unpack(more, 2000)[:count])
    assert np.array_equal(fewer, pack(unpack(fewer, count)))


def test_seeds_and_indices_draw_different_signs() -> None:
    drawn = {seeded_signs(s, i, 256).tobytes() for s in range(4) for i in range(4)}
    assert len(drawn) == 16
    ones = unpack(seeded_signs(0, 0, 100_000), 100_000).mean()
    assert abs(ones - 0.5) < 0.01


def test_out_of_range_is_refused() -> None:
    for seed, index, count in ((-1, 0, 1), (2**63, 0, 1), (0, -1, 1), (0, 0, 0)):
        with pytest.raises(ValueError, match="no signs"):
            seeded_signs(seed, index, count)
    with pytest.raises(ValueError, match="fan_in"):
        signed_constant_scale(0)


def test_the_scale_is_the_root_of_two_over_fan_in() -> None:
    for fan_in in (1, 100, 300, 784, 4608):
        scale = signed_constant_scale(fan_in)
        assert isinstance(scale, np.float32)
        assert math.isclose(scale, math.sqrt(2 / fan_in), rel_tol=1e-7)


def test_the_base_as_stored() -> None:
    parameters = (
        ParameterRecord("conv", (4, 3, 3, 3), True),
        ParameterRecord("gain", (4,), False),
    )
    tensors = signed_constant_tensors(1, parameters)
    assert sorted(tensors) == ["scale/conv", "signs/conv", "weights/gain"]
    assert np.array_equal(tensors["signs/conv"], seeded_signs(1, 0, 108))
    assert tensors["scale/conv"].tolist() == [float(signed_constant_scale(27))]
    assert tensors["weights/gain"].tolist() == [1, 1, 1, 1]
