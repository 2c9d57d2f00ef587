"""Any name gives folders that stay in their parent folder, and can be read back from them."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supsup_cli.workflows.inference.photos.folder_names import folder_parts, name_of
from tests.robustness.fuzzing.test_hostile_names import HOSTILE

ANY = st.text(st.characters(exclude_categories=()))  # including lone surrogates
NASTY = st.text(st.sampled_from("./\\%-2eE \0~:*\n\u202eé猫"))


def check(name: str) -> tuple[str, ...]:
    parts = folder_parts(name)
    assert name_of(parts) == name
    for part in parts:
        assert part.isprintable()
        assert 1 <= len(os.fsencode(part)) <= 201
        assert part[0] not in ".- "
        assert part[-1] not in ". "
        assert not set(part) & set('/\\:*?"<>|\0')
    assert [part.endswith("%") for part in parts[:-1]] == [True] * (len(parts) - 1)
    return parts


@given(ANY | NASTY)
@example("")
@example("..")
@example("%")
@example("a%2Fb")
def test_every_name_is_read_back_from_names_that_folders_can_have(name: str) -> None:
    check(name)


@given(st.text(st.sampled_from(".%/a猫\U000e0001"), min_size=200, max_size=900))
@example("x" * 200)
@example("." * 4096)
def test_long_names_are_folders_within_each_other(name: str) -> None:
    assert len(check(name)) > 1


@given(NASTY, NASTY)
def test_two_names_never_meet(one: str, other: str) -> None:
    assert (folder_parts(one) == folder_parts(other)) == (one == other)


@given(NASTY, NASTY)
def test_no_name_lies_within_another(one: str, other: str) -> None:
    ours, theirs = folder_parts(one), folder_parts(other)
    if one != other:
        assert theirs[: len(ours)] != ours


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_stay_below_the_folder(name: str, tmp_path: Path) -> None:
    top = tmp_path / "top"
    made = top.joinpath(*check(name[:3000]))
    made.mkdir(parents=True)
    assert made.resolve().is_relative_to(top.resolve())
    assert made.resolve() != top.resolve()
    assert sorted(tmp_path.iterdir()) == [top]


@pytest.mark.parametrize(
    "name", ["cat", "golden retriever", "dog à poil", "[red]x", "T-shirt/top"[:7], "猫", "_new"]
)
def test_plain_names_stay_as_they_are(name: str) -> None:
    assert folder_parts(name) == (name,)


def test_what_no_name_is_written_as_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        name_of(("%FF",))
