import hashlib
import json

import numpy as np
import pytest

from bank_format.encoding.canonical_json import JsonObject
from bank_format.encoding.sealed import HEADER_LIMIT, Tensors, seal, unseal
from bank_format.errors import DamagedError
from tests.support.banks import flips

TENSORS: Tensors = {
    "mask/a": np.array([5, 1], dtype=np.uint8),
    "statistics/m": np.array([[1.0, -0.5]], dtype=np.float32),
}
METADATA: JsonObject = {"b": "é", "a": [1, 2.5, None]}

GOLDEN = (
    b"\xf8\x00\x00\x00\x00\x00\x00\x00"
    b'{"__metadata__":{"supsup":"{\\"a\\":[1,2.5,null],\\"b\\":\\"\xc3\xa9\\"}"},"statis'
    b'tics/m":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"mask/a":{"'
    b'dtype":"U8","shape":[2],"data_offsets":[8,10]},"~seal":{"dtype":"U8","'
    b'shape":[32],"data_offsets":[10,42]}}  '
    b"\x00\x00\x80?\x00\x00\x00\xbf\x05\x01"
    + bytes.fromhex("e02eb00b192d3cca0c7b5f938b9dc07bb77d0b957c1847276e49c8dfb28f37c8")
)


def resealed(data: bytes) -> bytes:
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def rewritten(change: dict[str, object], data: bytes | None = None) -> bytes:
    """Seal a file with a changed header, as a forger or a faulty writer would."""
    data = data or seal(TENSORS, METADATA)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size]) | change
    text = json.dumps(header, ensure_ascii=False).encode()
    return resealed(len(text).to_bytes(8, "little") + text + data[8 + size :])


def test_the_bytes_of_a_small_file_are_these() -> None:
    assert seal(TENSORS, METADATA) == GOLDEN


def test_unseal_gives_back_what_was_sealed() -> None:
    tensors, metadata = unseal(seal(TENSORS, METADATA), "file")
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert np.array_equal(tensors[name], tensor)


def test_shapes_without_elements_or_dimensions_are_kept() -> None:
    odd: Tensors = {"none": np.zeros((0, 3), np.uint8), "one": np.array(2.0, np.float64)}
    tensors, _ = unseal(seal(odd, None), "file")
    assert tensors["none"].shape == (0, 3)
    assert tensors["one"].shape == ()
    assert tensors["one"] == 2.0


def test_equal_input_in_any_order_gives_equal_bytes() -> None:
    again = seal(dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert again == seal(TENSORS, METADATA)


def test_memory_order_does_not_show() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert seal({"x": np.asfortranarray(array)}, 0) == seal({"x": array}, 0)


def test_every_flipped_bit_is_refused_by_name() -> None:
    for _, changed in flips(seal(TENSORS, METADATA)):
        with pytest.raises(DamagedError, match=r"^here: "):
            unseal(changed, "here")


def test_every_truncation_and_any_addition_is_refused() -> None:
    data = seal(TENSORS, METADATA)
    for length in range(len(data)):
        with pytest.raises(DamagedError):
            unseal(data[:length], "here")
    for extra in (b"\0", b"x" * 40, data):
        with pytest.raises(DamagedError):
            unseal(data + extra, "here")
        with pytest.raises(DamagedError):
            unseal(resealed(data + extra), "here")


def test_truncated_files_with_a_right_seal_are_refused() -> None:
    data = seal(TENSORS, METADATA)
    for length in range(len(data) - 32):
        with pytest.raises(DamagedError):
            unseal(data[:length] + hashlib.sha256(data[:length]).digest(), "here")


SEAL = {"dtype": "U8", "shape": [32], "data_offsets": [10, 42]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"__metadata__": {"supsup": "0", "more": "0"}}, "one key"),
        ({"__metadata__": {"other": "0"}}, "one key"),
        ({"__metadata__": None}, "one key"),
        ({"__metadata__": {"supsup": 1}}, "no text"),
        ({"__metadata__": {"supsup": '{"a": 1}'}}, "not canonical"),
        ({"__metadata__": {"supsup": '{"a":1,"a":1}'}}, "not canonical"),
        ({"__metadata__": {"supsup": "NaN"}}, "not canonical"),
        ({"__metadata__": {"supsup": "[" * 100_000}}, "nested too deep|not canonical"),
        ({"~seal": SEAL | {"data_offsets": [9, 41]}}, "not the last 32 bytes"),
        ({"~seal": SEAL | {"shape": [4, 8]}}, "not the last 32 bytes"),
        ({"~seal": None}, "not the last 32 bytes"),
        ({"mask/a": {"dtype": "I8", "shape": [2], "data_offsets": [8, 10]}}, "expected one of"),
        ({"mask/a": {"dtype": "U8", "shape": [2], "data_offsets": [7, 9]}}, "no safetensors"),
        ({"mask/a": {"dtype": "U8", "shape": [9**9], "data_offsets": [8, 10]}}, "no safetensors"),
        ({"mask/b": {"dtype": "U8", "shape": [2], "data_offsets": [8, 10]}}, "no safetensors"),
    ],
)
def test_a_right_seal_does_not_excuse_a_wrong_file(change: dict[str, object], message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        unseal(rewritten(change), "here")


def test_a_key_that_stands_twice_in_the_header_is_refused() -> None:
    data = seal(TENSORS, METADATA)
    size = int.from_bytes(data[:8], "little")
    entry = b'"mask/a":{"dtype":"U8","shape":[2],"data_offsets":[8,10]},'
    header = data[8 : 8 + size].replace(entry, entry + entry)
    twice = len(header).to_bytes(8, "little") + header + data[8 + size :]
    with pytest.raises(DamagedError, match="twice"):
        unseal(resealed(twice), "here")


def test_a_header_over_the_limit_is_refused_before_it_is_parsed() -> None:
    size = HEADER_LIMIT + 8
    data = size.to_bytes(8, "little") + b"{}".ljust(size) + bytes(32)
    with pytest.raises(DamagedError, match="over the limit"):
        unseal(resealed(data), "here")


@pytest.mark.parametrize(
    "tensors",
    [
        {"~seal": np.zeros(1, np.uint8)},
        {"~a": np.zeros(1, np.uint8)},
        {"": np.zeros(1, np.uint8)},
        {"é": np.zeros(1, np.uint8)},
        {"a": np.zeros(1, np.float16)},
        {"a": np.zeros(1, np.int64)},
        {"__metadata__": np.zeros(1, np.uint8)},
    ],
)
def test_what_has_no_place_in_a_sealed_file_is_refused(tensors: Tensors) -> None:
    with pytest.raises(ValueError, match="sealed"):
        seal(tensors, None)


def test_nan_has_no_place_in_the_metadata() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        seal({}, float("nan"))
