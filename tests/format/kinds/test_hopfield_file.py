"""hopfield.safetensors: what is written is read back, and damaged or wrong files are refused."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import VerifyReport, verify
from bank_format.encoding.canonical_json import Json
from bank_format.encoding.sealed import Tensors, seal, unseal
from bank_format.errors import BankError, DamagedError
from bank_format.kinds.hopfield import (
    Attractors,
    PatternRecord,
    build_hopfield,
    check_hopfield,
    hopfield_limit,
    parse_hopfield,
)
from bank_format.kinds.task_metadata import content_sha256
from bank_format.store.attractors import (
    check_attractors,
    compare,
    in_order,
    read_attractors,
    write_attractors,
)
from tests.robustness.damage.test_damage import EVERY, KINDS
from tests.support.banks import add, attractors, create, units_bank, units_spec, written

FILE = "hopfield.safetensors"  # as FORMAT.md names it


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return units_bank(tmp_path / "bank")


def tasks_of(bank: Bank) -> Any:
    return bank.read_tasks()[0]


def equal(one: Attractors, other: Attractors) -> bool:
    def bits(of: Attractors) -> object:
        arrays = (of.matrices, of.sums)
        return [{name: array.tolist() for name, array in part.items()} for part in arrays]

    return (one.rule, one.tasks, bits(one)) == (other.rule, other.tasks, bits(other))


def test_what_is_written_is_read_and_writing_it_again_gives_the_same_bytes(bank: Bank) -> None:
    stored = attractors(tasks_of(bank), bank.record)
    assert read_attractors(bank.path, bank.record) is None
    assert check_attractors(bank.path, bank.record) is None
    size = write_attractors(bank.path, bank.record, stored)
    data = (bank.path / FILE).read_bytes()
    read = read_attractors(bank.path, bank.record)
    assert read is not None
    assert read[1] == size == len(data)
    assert equal(read[0], stored)
    assert build_hopfield(bank.record, read[0]) == data
    for matrix in read[0].matrices.values():
        assert matrix.dtype == np.float64
        assert (matrix == matrix.T).all()
        assert not matrix.diagonal().any()


def test_a_matrix_takes_the_bytes_of_a_full_one_in_float32(tmp_path: Path) -> None:
    parameters = tuple(
        dataclasses.replace(one, shape=(600,)) if one.masked else one
        for one in units_spec().parameters
    )
    bank = create(tmp_path / "bank", units_spec(parameters=parameters))
    add(bank, "cats")
    full = 2 * 4 * 600**2
    size = write_attractors(bank.path, bank.record, attractors(tasks_of(bank), bank.record))
    sums = 2 * 8 * 600
    assert 0 < size - (full - 2 * 4 * 600) - sums < 2000
    assert size < hopfield_limit(bank.record)


def test_the_file_is_replaced_whole(bank: Bank) -> None:
    first = written(bank)
    add(bank, "late", 7)
    assert written(bank) != first
    assert sorted(path.name for path in bank.path.iterdir()) == [
        "bank.json", "base.safetensors", FILE, "masks", "work"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_by_its_name(bank: Bank, kind: str) -> None:
    whole = written(bank)
    read = partial(read_attractors, bank.path, bank.record)
    path = bank.path / FILE
    for cases, changed in enumerate(KINDS[kind](whole)):
        for parse in (parse_hopfield, check_hopfield):
            with pytest.raises(DamagedError, match=f"^{FILE}: "):
                parse(changed, bank.record, FILE)
        if cases % EVERY == 0:
            path.write_bytes(changed)
            with pytest.raises(DamagedError, match=f"^{path}: "):
                read()
            (problem,) = verify(bank.path).problems
            assert (problem.file, problem.exit_code) == (FILE, 5)
            assert problem.hint == f"supsup verify --repair --bank {bank.path}"
    path.write_bytes(whole)
    assert verify(bank.path) == VerifyReport((), (), tasks=3)


@pytest.mark.parametrize("file", ["bank.json", "base.safetensors", "masks/cats.safetensors"])
def test_it_is_never_taken_for_another_file(bank: Bank, file: str) -> None:
    written(bank)
    one, other = bank.path / file, bank.path / FILE
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert [problem.file for problem in verify(bank.path).problems][:1] <= [file, FILE]
    with pytest.raises(BankError, match=FILE):
        read_attractors(bank.path, bank.record)


def test_attractors_of_another_bank_are_refused(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other", units_spec(seed=1))
    add(other, "cats")
    (bank.path / FILE).write_bytes(written(other))
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.invariant, problem.exit_code) == (FILE, "I8", 12)
    assert repair(bank.path).problems == ()
    assert not (bank.path / FILE).exists()


def test_attractors_of_a_newer_version_are_left_alone(bank: Bank) -> None:
    tensors, metadata = unseal(written(bank), FILE)
    assert isinstance(metadata, dict)
    assert isinstance(metadata["content"], dict)
    newer = seal(tensors, metadata | {"content": metadata["content"] | {"version": 2}})
    (bank.path / FILE).write_bytes(newer)
    report = repair(bank.path)
    assert [one.slug for one in report.problems] == ["newer-format"]
    assert (bank.path / FILE).read_bytes() == newer


def test_without_bank_json_the_seal_is_still_checked(bank: Bank) -> None:
    data = written(bank)
    (bank.path / "bank.json").write_bytes(b"{}\n")
    assert [one.file for one in verify(bank.path).problems] == ["bank.json"]
    (bank.path / FILE).write_bytes(data[:-1] + b"\0")
    assert [one.file for one in verify(bank.path).problems] == ["bank.json", FILE]


def _sealed_again(tensors: Tensors, content: Json) -> bytes:
    digest = content_sha256(content, tensors)
    return seal(tensors, {"content": content, "content_sha256": digest})


UNFIT: dict[str, tuple[Callable[[Tensors, Any], None], str, str]] = {
    "a number missing": (
        lambda tensors, _: tensors.update(
            {"couplings/first.units": tensors["couplings/first.units"][1:]}
        ),
        "I12",
        "couplings/first.units: float64 (9,) found, expected float64 (10,)",
    ),
    "a tensor missing": (
        lambda tensors, _: tensors.update({"sum/first.units": tensors.pop("sum/second.units")}),
        "I12",
        "sum/second.units missing or unknown",
    ),
    "a tensor too many": (
        lambda tensors, _: tensors.update({"x": np.zeros(1)}), "I12", "x missing or unknown"
    ),
    "a NaN": (
        lambda tensors, _: tensors.update({"couplings/first.units": np.full(10, np.nan)}),
        "I12",
        "infinity or NaN",
    ),
    "in float32": (
        lambda tensors, _: tensors.update({"sum/first.units": np.ones(5, np.float32)}),
        "I12",
        "float32 (5,) found, expected float64 (5,)",
    ),
    "a sum that three patterns cannot have": (
        lambda tensors, _: tensors.update({"sum/first.units": np.full(5, 2.0)}),
        "I12",
        "found no sums of 3 values",
    ),
    "a sum beyond three": (
        lambda tensors, _: tensors.update({"sum/first.units": np.full(5, -5.0)}),
        "I12",
        "found no sums of 3 values",
    ),
    "a task twice": (
        lambda _, content: content["tasks"].append(content["tasks"][0]),
        "I5",
        "4 tasks of 3 names found",
    ),
    "no task": (lambda _, content: content.update(tasks=[]), "I5", "0 tasks of 0 names"),
    "an unlawful name": (
        lambda _, content: content["tasks"][0].update(task="../x"), "I5", "task name '../x'"
    ),
    "another rule": (lambda _, content: content.update(rule="none"), "I5", "'none' found"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_what_fits_no_attractors_is_refused_though_its_digests_are_right(
    bank: Bank, case: str
) -> None:
    change, invariant, words = UNFIT[case]
    tensors, metadata = unseal(written(bank), FILE)
    assert isinstance(metadata, dict)
    content: Any = metadata["content"]
    change(tensors, content)
    (bank.path / FILE).write_bytes(_sealed_again(tensors, content))
    (problem,) = verify(bank.path).problems
    assert (problem.invariant, problem.exit_code) == (invariant, 5)
    assert words in problem.message


def test_a_number_changed_and_sealed_anew_breaks_the_digest_of_the_content(bank: Bank) -> None:
    tensors, metadata = unseal(written(bank), FILE)
    tensors["couplings/first.units"] = tensors["couplings/first.units"] + np.float64(0.5)
    (bank.path / FILE).write_bytes(seal(tensors, metadata))
    (problem,) = verify(bank.path).problems
    assert (problem.invariant, problem.exit_code) == ("I10", 5)


def test_a_bank_of_edges_has_no_attractors(tmp_path: Path) -> None:
    edges = create(tmp_path / "edges", units_spec(masking="edges"))
    add(edges, "cats")
    with pytest.raises(ValueError, match="masks of edges found"):
        build_hopfield(edges.record, attractors(tasks_of(edges), edges.record))


def test_a_matrix_that_is_not_symmetric_is_not_written(bank: Bank) -> None:
    stored = attractors(tasks_of(bank), bank.record)
    stored.matrices["first.units"][0, 1] += 1
    with pytest.raises(ValueError, match="not symmetric"):
        build_hopfield(bank.record, stored)


def test_tasks_are_stored_by_time_and_then_by_name(bank: Bank) -> None:
    tasks = tasks_of(bank)
    late = dataclasses.replace(tasks[0].provenance, created="2027-01-31T12:00:00.000000Z")
    tasks[0] = dataclasses.replace(tasks[0], provenance=late)
    assert [one.content.task for one in in_order(reversed(tasks))] == ["dogs", "pets", "cats"]


def test_comparing_tells_what_is_missing_and_what_is_gone() -> None:
    one, other = PatternRecord("a", "ab" * 32), PatternRecord("b", "ab" * 32)
    changed = PatternRecord("a", "cd" * 32)
    assert compare([one, other], [other, one]) is None
    stale = compare([one], [other])
    assert stale is not None
    assert (stale.missing, stale.gone) == (("b",), ("a",))
    changed_too = compare([one], [changed])
    assert changed_too is not None
    assert (changed_too.missing, changed_too.gone) == (("a",), ("a",))
