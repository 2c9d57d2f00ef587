"""`verify` compares the index with the files, and a repair writes it again."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import verify
from bank_format.index.coarse import joined_rows
from bank_format.index.list_part import build_list, parse_list
from bank_format.index.list_rows import ListRows, list_of
from bank_format.index.rows import ListRow, sample_size
from bank_format.index.signature_part import build_signatures
from bank_format.index.survey import survey
from bank_format.index.task_rows import read_task_row
from bank_format.index.writing import update_index
from bank_format.store.layout import QUARANTINE
from tests.support.banks import add_signed, create, flips, index_files

NAMES = ("cars", "dogs", "pets")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    for seed, name in enumerate(NAMES):
        add_signed(made, name, seed)
    update_index(made)
    assert verify(made.path).problems == ()
    assert verify(made.path).hints == ()
    return made


def _file(bank: Bank, part: str) -> Path:
    (path,) = [path for path in index_files(bank.folder) if part in path.name]
    return path


def changed(bank: Bank, rows: ListRows, other: ListRow) -> ListRows:
    """Put a row in the place of the one of its task."""
    kept = [row for row in rows.values() if row.task != other.task]
    return list_of([*kept, other], sample_size(bank.record))


@pytest.mark.parametrize("part", ["list", "signatures"])
def test_damage_is_named_set_aside_and_written_again(bank: Bank, part: str) -> None:
    path = _file(bank, part)
    whole = path.read_bytes()
    path.write_bytes(list(flips(whole))[-1][1])
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.exit_code, problem.invariant) == (path.name, 5, "I2")
    assert problem.hint.startswith("supsup verify --repair")
    report = repair(bank.folder)
    assert report.problems == ()
    assert [one.action for one in report.repairs] == ["quarantined"]
    update_index(bank)
    assert path.read_bytes() == whole
    assert len(list((bank.folder / QUARANTINE).iterdir())) == 1


def test_a_list_that_lies_is_found(bank: Bank) -> None:
    path = _file(bank, "list")
    rows = parse_list(path.read_bytes(), bank.record, "list")
    path.write_bytes(build_list(bank.record, changed(bank, rows, rows["dogs"]._replace(ones=1))))
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.invariant, problem.exit_code) == (path.name, "I13", 5)
    assert "'dogs'" in problem.message
    repair(bank.folder)
    update_index(bank)
    assert verify(bank.path).problems == ()
    assert survey(bank).rows["dogs"] == rows["dogs"]


def test_signatures_that_lie_are_found(bank: Bank) -> None:
    path = _file(bank, "signatures")
    made = [read_task_row(bank, name, None, None).coarse for name in NAMES]
    rows = joined_rows([one for one in made if one is not None])
    turned = joined_rows([rows.take(np.array([1, 0, 2]))])
    object.__setattr__(turned, "seals", rows.seals)
    path.write_bytes(build_signatures(bank.record, turned))
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.invariant) == (path.name, "I13")
    repair(bank.folder)
    update_index(bank)
    assert verify(bank.path).problems == ()


def test_a_stale_index_is_no_damage(bank: Bank) -> None:
    bank.remove_task("dogs")
    add_signed(bank, "dogs", 9)
    bank.remove_task("pets")
    add_signed(bank, "mice", 8)
    assert verify(bank.path).problems == ()


def test_a_row_with_the_stamp_of_a_file_and_another_seal_is_found(bank: Bank) -> None:
    path = _file(bank, "list")
    rows = parse_list(path.read_bytes(), bank.record, "list")
    file = rows["dogs"].file._replace(seal=bytes(range(32)))
    other = rows["dogs"]._replace(file=file, classes=9)
    path.write_bytes(build_list(bank.record, changed(bank, rows, other)))
    assert survey(bank).rows["dogs"].classes == 9
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.invariant) == (path.name, "I13")
