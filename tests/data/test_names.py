"""The names of data: ranges, canonical spelling, folders, and what is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from supsup_cli.data.names import Variant, expand, resolve, task_name
from supsup_cli.errors import NoInputError, UsageError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mnist"], ["mnist"]),
        (["mnist-perm-0..3"], [f"mnist-perm-{n}" for n in range(4)]),
        (["mnist-perm-4294967295"], ["mnist-perm-4294967295"]),
        (["mnist-perm-0..10:5"], ["mnist-perm-0", "mnist-perm-5", "mnist-perm-10"]),
        (["mnist-perm-0..9:4"], ["mnist-perm-0", "mnist-perm-4", "mnist-perm-8"]),
        (["mnist-split-0..4"], [f"mnist-split-{n}" for n in range(5)]),
        (["mnist-rot-0..350:10"], [f"mnist-rot-{n}" for n in range(0, 351, 10)]),
        (["mnist-rot--10..10:10"], ["mnist-rot--10", "mnist-rot-0", "mnist-rot-10"]),
        (["mnist-rot-0..0.3:0.1"], [f"mnist-rot-{n}" for n in ("0", "0.1", "0.2", "0.3")]),
        (["mnist-perm-007", "mnist-rot-90.0"], ["mnist-perm-7", "mnist-rot-90"]),
        (["mnist-rot--0", "mnist-rot--0.50"], ["mnist-rot-0", "mnist-rot--0.5"]),
        (["mnist-rot-100"], ["mnist-rot-100"]),
        (["mnist-rot-007.5"], ["mnist-rot-7.5"]),
        ([], []),
    ],
)
def test_expand(names: list[str], expected: list[str]) -> None:
    assert expand(names) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnist-perm-1.5", "a whole number from 0 to 4294967295"),
        ("mnist-perm--1", "from 0 to 4294967295"),
        ("mnist-perm-4294967296", "from 0 to 4294967295"),
        ("mnist-split-5", "from 0 to 4"),
        ("mnist-rot-361", "from -360 to 360"),
        ("mnist-perm-9..0", "ascending"),
        ("mnist-perm-0..9:0", "ascending"),
        ("mnist-perm-0..9:0.5", "whole numbers"),
        ("mnist-perm-0..100000", "100,001 data sets, expected at most 100,000"),
        ("mnist-rot-0..360:0.000001", "expected at most 100,000"),
        ("mnist-perm-x", "unknown data"),
        ("mnist-perm-1...5", "unknown data"),
        ("mnist-perm-٣", "unknown data"),
        ("mnist-blur-3", "unknown data"),
        ("mnist-perm-7 ", "unknown data"),
        ("mnist\n", "unknown data"),
        ("cifar10-split-5", "from 0 to 4"),
        ("cifar10-0", "unknown data"),
        ("", "unknown data"),
    ],
)
def test_refused_names(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand([name])
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_unknown_name_lists_the_forms_and_guesses() -> None:
    with pytest.raises(UsageError, match="did you mean mnist-perm-N") as caught:
        resolve("minst-perm-3")
    for form in ("mnist,", "mnist-perm-N", "mnist-rot-DEGREES", "mnist-split-I", "a folder"):
        assert form in caught.value.message
    assert caught.value.hint == "supsup data list"


@pytest.mark.parametrize(
    "names",
    [["mnist", "mnist"], ["mnist-perm-0..5", "mnist-perm-3"], ["mnist-perm-7", "mnist-perm-07"]],
)
def test_given_twice(names: list[str]) -> None:
    with pytest.raises(UsageError, match="given twice"):
        expand(names)


def test_a_folder_given_twice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        expand([str(tmp_path), f"{tmp_path}/."])


def test_too_many_in_all() -> None:
    with pytest.raises(UsageError, match="more than 100,000"):
        expand(["mnist-perm-0..59999", "mnist-perm-60000..119999"])


def test_folders_stay_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("pets", "./pets", str(tmp_path / "pets"), "~/pets", "pets/"):
        assert expand([name]) == [name]
        assert resolve(name) == tmp_path / "pets"
        assert task_name(name) == "pets"


def test_known_names_win_over_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("mnist") == Variant("mnist")
    assert resolve("./mnist") == tmp_path / "mnist"


def test_resolve_reads_the_number() -> None:
    assert resolve("mnist-rot-22.50") == Variant("mnist-rot", Decimal("22.5"))


def test_resolve_refuses_a_range() -> None:
    with pytest.raises(UsageError, match="a range of 10 data sets"):
        resolve("mnist-perm-0..9")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(NoInputError, match=r"gone: nothing there, expected a folder"):
        expand(["mnist", str(tmp_path / "gone")])
    with pytest.raises(NoInputError, match=r"file: a file, expected a folder"):
        expand([str(tmp_path / "file")])
    with pytest.raises(NoInputError, match=r"not a usable path|nothing there"):
        expand(["./a\0b"])


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("Cats & Dogs", "cats---dogs"), ("pets_2", "pets_2"), ("v1.0", "v1.0"), ("Katzé", "katz-")],
)
def test_task_name_of_folders(tmp_path: Path, folder: str, expected: str) -> None:
    (tmp_path / folder).mkdir()
    assert task_name(str(tmp_path / folder)) == expected


def test_task_name_of_a_link_is_the_links(tmp_path: Path) -> None:
    (tmp_path / "pets-v2").mkdir()
    (tmp_path / "pets").symlink_to("pets-v2")
    assert task_name(str(tmp_path / "pets")) == "pets"


@pytest.mark.parametrize("folder", ["_pets", "x" * 65, "猫"])
def test_task_name_that_is_not_lawful(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(UsageError) as caught:
        task_name(str(tmp_path / folder))
    assert "--name NAME" in caught.value.hint
