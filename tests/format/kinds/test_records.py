import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank_format.encoding.canonical_json import Json, canonical, parse_canonical
from bank_format.encoding.codec import PackedCoding, RiceCoding
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import DamagedError, NewerFormatError
from bank_format.kinds.bank_json import (
    BankRecord,
    InputRecord,
    ParameterRecord,
    build_bank_file,
    parse_bank_file,
)
from bank_format.kinds.task_records import (
    AccuracyRecord,
    CalibrationRecord,
    ClassRecord,
    TaskContent,
)
from tests.support.banks import PROVENANCE, facts, flips, spec

RECORD = BankRecord(
    **{f.name: getattr(spec(), f.name) for f in dataclasses.fields(spec())}, base_sha256="0" * 64
)
CONTENT = TaskContent(
    **{f.name: getattr(facts("pets"), f.name) for f in dataclasses.fields(facts("pets"))},
    base_sha256="0" * 64,
    version=1,
    encoding={"first.weight": PackedCoding(), "last.weight": RiceCoding("rice", 2, 3)},
    statistics=("norm.mean",),
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(
        allow_nan=False, allow_infinity=False
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


def changed(record: object, path: str, value: object) -> Json:
    """Return the record's JSON with the value at a path of keys replaced, or removed if ..."""
    copy = json.loads(canonical(to_json(record)))
    inner = copy
    *above, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in above:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return copy  # type: ignore[no-any-return]


@given(VALUES)
def test_canonical_json_reads_back_and_is_unique(value: Any) -> None:
    text = canonical(value)
    assert canonical(parse_canonical(text)) == text
    assert json.loads(text) == value
    spaced = json.dumps(value, indent=1, ensure_ascii=False).encode()
    if spaced != text:
        with pytest.raises(ValueError, match="not canonical"):
            parse_canonical(spaced)


@pytest.mark.parametrize(
    "text",
    [b"", b"1 ", b"1.0e0", b"1e5", b"-0", b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'"\\u00e9"',
     b"NaN", b"Infinity", b'"\xff"', b'"\\ud800"', b"[" * 10**5, b"9" * 5000, b"\xef\xbb\xbf1"],
)  # fmt: skip
def test_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"canonical|nested"):
        parse_canonical(text)


@pytest.mark.parametrize("record", [RECORD, CONTENT, PROVENANCE])
def test_records_survive_the_way_through_json(record: object) -> None:
    text = canonical(to_json(record))
    assert from_json(type(record), parse_canonical(text)) == record


@pytest.mark.parametrize(
    ("record", "path", "value", "message"),
    [
        (RECORD, "extra", 1, "extra: unknown key"),
        (RECORD, "seed", ..., "seed: missing key"),
        (RECORD, "seed", True, "seed: True found, expected int"),
        (RECORD, "seed", 1.0, "seed: 1.0 found, expected int"),
        (RECORD, "seed", 2**63, "seed: 9223372036854775808 found"),
        (RECORD, "seed", -1, "seed -1 found"),
        (RECORD, "arch", None, "arch: None found, expected str"),
        (RECORD, "arch", "a\nb", "control characters"),
        (RECORD, "masking", "rows", "masking: 'rows' found, expected 'edges' or 'units'"),
        (RECORD, "input/shape", [1, 2], r"input.shape: \[1, 2\] found, expected a list of 3"),
        (RECORD, "input/mean/0", 1, r"input.mean\[0\]: 1 found, expected float"),
        (RECORD, "input/std/0", 0.0, "input: std"),
        (RECORD, "input", [], "input: .* expected an object"),
        (RECORD, "parameters", {}, "parameters: .* expected a list"),
        (RECORD, "parameters/1/masked", 1, r"parameters\[1\].masked: 1 found, expected bool"),
        (RECORD, "parameters/1/name", "first.weight", "two parameters of one name"),
        (RECORD, "parameters", [], "0 parameters found"),
        (RECORD, "real_outputs", 4, "4 real outputs of 3 found"),
        (RECORD, "base_sha256", "0" * 63 + "A", "64 lower-case hex"),
        (CONTENT, "accuracy/images", "1", "accuracy.images: '1' found, expected int"),
        (CONTENT, "accuracy/extra", 1, "accuracy: .* expected AccuracyRecord or NoneType"),
        (CONTENT, "accuracy", 1, "accuracy: 1 found"),
        (CONTENT, "encoding/last.weight/k", 33, "encoding.last.weight: k is 33"),
        (CONTENT, "encoding/last.weight/coding", "zip", "encoding.last.weight.coding: 'zip'"),
        (CONTENT, "encoding/last.weight", {"coding": "rice"}, "expected 'packed'"),
        (CONTENT, "encoding", {"a/b": {"coding": "packed"}}, "name 'a/b' found"),
        (CONTENT, "recipe/settings/lr", True, "recipe.settings.lr: True found"),
        (CONTENT, "recipe/settings", [], "recipe.settings: .* expected an object"),
        (CONTENT, "classes/1/output", 0, r"outputs \[0, 0\] found"),
        (CONTENT, "classes/1/name", "cat", "two classes of one name"),
        (CONTENT, "classes", [], "expected one for each class"),
        (CONTENT, "task", "../x", r"task name '\.\./x' found"),
        (CONTENT, "parents/0/task", "", "parents.0.: task name"),
        (CONTENT, "statistics", ["b", "a"], "sorted and distinct"),
        (CONTENT, "kind", "hopfield", "kind: 'hopfield' found, expected 'mask'"),
        (PROVENANCE, "created", "2026-01-31 12:00:00Z", "created"),
        (PROVENANCE, "seconds", -1.0, "seconds"),
        (PROVENANCE, "versions/x", "a\x1b[2J", "control characters"),
    ],
)
def test_what_the_format_does_not_say_is_refused_by_its_path(
    record: object, path: str, value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(type(record), changed(record, path, value))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ParameterRecord("w", (), True),
        lambda: ParameterRecord("w", (3, 0), True),
        lambda: ParameterRecord("w", (2**17, 2**17), True),
        lambda: ParameterRecord("a/b", (1,), True),
        lambda: ParameterRecord("~", (1,), True),
        lambda: InputRecord((1, 0, 3), "cover-bilinear", (0.0,), (1.0,)),
        lambda: InputRecord((3, 2, 2), "cover-bilinear", (0.0,), (1.0,)),
        lambda: InputRecord((1, 2, 2), "cover-bilinear", (float("nan"),), (1.0,)),
        lambda: spec(parameters=(ParameterRecord("w", (3, 4), False),)),
        lambda: spec(parameters=tuple(ParameterRecord(str(i), (2**32,), True) for i in range(3))),
        lambda: AccuracyRecord(2, 1),
        lambda: AccuracyRecord(0, 0),
        lambda: ClassRecord("cat", -1),
        lambda: CalibrationRecord("R", 5, (0.5, 0.1), (1.0, 2.0)),
        lambda: CalibrationRecord("R", 5, (0.1, 0.5), (2.0, 1.0)),
        lambda: CalibrationRecord("R", 5, (0.1, 1.5), (1.0, 2.0)),
        lambda: CalibrationRecord("R", 5, (0.1,), (1.0, 2.0)),
        lambda: CalibrationRecord("R", 5, (0.1,), (float("inf"),)),
        lambda: facts("Pets"),
        lambda: facts("pets", steps=-1),
        lambda: facts("pets", seed=2**63),
        lambda: dataclasses.replace(PROVENANCE, seconds=float("inf")),
    ],
)
def test_records_refuse_values_that_make_no_sense(make: Any) -> None:
    with pytest.raises(ValueError, match="found"):
        make()


def test_sizes_follow_from_the_shapes() -> None:
    mixed = spec(
        parameters=(
            ParameterRecord("a", (3, 3), True),
            ParameterRecord("b", (7,), False),
            ParameterRecord("c", (1, 17), True),
        )
    )
    assert [parameter.name for parameter in mixed.masked] == ["a", "c"]
    assert mixed.weights == 9 + 7 + 17
    assert mixed.mask_bytes == 2 + 3


def test_bank_json_is_canonical_with_its_own_digest() -> None:
    data = build_bank_file(RECORD)
    assert parse_bank_file(data, "bank.json") == RECORD
    assert data.endswith(b"}\n")
    assert json.loads(data)["sha256"] in data.decode()


def test_every_flipped_bit_and_truncation_of_bank_json_is_refused() -> None:
    data = build_bank_file(RECORD)
    for _, other in flips(data):
        with pytest.raises(DamagedError, match=r"^here: "):
            parse_bank_file(other, "here")
    for length in range(len(data)):
        with pytest.raises(DamagedError):
            parse_bank_file(data[:length], "here")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"version": 2}, NewerFormatError),
        ({"version": 2, "new": {}}, NewerFormatError),
        ({"kind": "other"}, NewerFormatError),
        ({"version": 0}, DamagedError),
        ({"version": True}, DamagedError),
        ({"format": "zip"}, DamagedError),
        ({"seed": -1}, DamagedError),
        ({"new": 1}, DamagedError),
    ],
)
def test_a_right_digest_does_not_excuse_a_wrong_bank_json(
    changes: dict[str, Json], error: type[Exception]
) -> None:
    import hashlib

    value = to_json(RECORD)
    assert isinstance(value, dict)
    value |= changes
    digest = hashlib.sha256(canonical(value) + b"\n").hexdigest()
    with pytest.raises(error):
        parse_bank_file(canonical({**value, "sha256": digest}) + b"\n", "here")
