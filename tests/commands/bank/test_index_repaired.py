"""`verify` and `verify --repair` on an index: damage is named, mended, and never an answer's."""

from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.index.list_part import build_list, parse_list
from bank_format.index.list_rows import list_of
from bank_format.index.rows import sample_size
from bank_format.index.survey import survey
from tests.support.banks import index_files, make_newer
from tests.support.commands import answer, flip_bit, run

ASKED = ("infer-task", "--data", "mnist-perm-0", "--limit", 3)


def _lie(path: Path, bank: Path) -> None:
    """Add one class to every row."""
    record = Bank.open(bank).record
    rows = parse_list(path.read_bytes(), record, "list")
    lies = [row._replace(classes=row.classes + 1) for row in rows.values()]
    path.write_bytes(build_list(record, list_of(lies, sample_size(record))))


def _flip(path: Path, bank: Path) -> None:
    flip_bit(path, path.stat().st_size // 2)


def _cut(path: Path, bank: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("part", ["list", "signatures"])
@pytest.mark.parametrize("befall", [_flip, _cut, _lie])
def test_a_damaged_index_is_named_and_written_again(
    own_bank: Path, part: str, befall: object
) -> None:
    if befall is _lie and part == "signatures":
        pytest.skip("lies of signatures are told in tests/format/index")
    for path in index_files(own_bank):  # a copy's has the stamps of the files it was copied from
        path.unlink()
    assert run("verify", "--repair", "--bank", own_bank).code == 0
    before, files = answer(*ASKED, "--bank", own_bank), index_files(own_bank)
    contents = {path.name: path.read_bytes() for path in files}
    (path,) = [path for path in files if part in path.name]
    assert callable(befall)
    befall(path, own_bank)
    ran = run("verify", "--bank", own_bank, "--json")
    assert ran.code == 5
    assert [one["file"] for one in ran.json["problems"]] == [path.name]
    asked = run(*ASKED, "--bank", own_bank, "--json")
    assert (asked.code, asked.json["results"]) == (0, before["results"])
    mended = run("verify", "--repair", "--bank", own_bank, "--json")
    assert mended.code == 0
    assert mended.json["problems"] == []
    assert {one.name: one.read_bytes() for one in index_files(own_bank)} == contents
    assert run("verify", "--bank", own_bank).code == 0
    assert run("verify", "--repair", "--bank", own_bank).code == 0


def test_an_index_of_a_later_version_is_left_alone(own_bank: Path) -> None:
    for path in index_files(own_bank):
        path.unlink()
    assert run("verify", "--repair", "--bank", own_bank).code == 0
    before = answer(*ASKED, "--bank", own_bank)
    newer = {path: make_newer(path) for path in index_files(own_bank)}
    assert run("verify", "--repair", "--bank", own_bank).code == 12
    (task,) = answer("learn-task", "--data", "mnist-perm-0", "--steps", 60, "--bank", own_bank)[
        "tasks"
    ]
    assert task["status"] == "exists"
    assert {path: path.read_bytes() for path in index_files(own_bank)} == newer
    assert answer(*ASKED, "--bank", own_bank)["results"] == before["results"]


def test_the_index_of_a_copy_gets_the_times_of_its_files(own_bank: Path) -> None:
    def known() -> list[bool]:
        found = survey(Bank.open(own_bank))
        return [row.file.stamp == found.stamps[row.task] for row in found.rows.values()]

    assert known() == [False] * 4
    assert run("verify", "--repair", "--bank", own_bank).code == 0
    assert known() == [True] * 4
    written = {path.name: path.stat().st_mtime_ns for path in index_files(own_bank)}
    assert run("verify", "--repair", "--bank", own_bank).code == 0
    assert {path.name: path.stat().st_mtime_ns for path in index_files(own_bank)} == written
