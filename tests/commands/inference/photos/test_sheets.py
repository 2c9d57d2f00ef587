"""`predict --sheet`: what a page shows, how pages are named, and what is never replaced."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from bank_format.errors import NameTakenError
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.workflows.inference.photos import drawing, sheets
from supsup_cli.workflows.inference.photos.drawing import draw_page, shortened
from supsup_cli.workflows.inference.photos.sheets import draw_sheet
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.results.inference import PredictedSource
from tests.support.commands import answer, make_class_folder, run

CELL = (160, 222)
SIDE = 144


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (300, 150), (255, 0, 0)).save(path)
    return path


def said(path: Path, label: str = "cat", task: str = "pets", known: bool = True) -> PredictedSource:
    return PredictedSource(str(path), task, known, label, 0.934, None)


def page(*results: PredictedSource) -> NDArray[np.uint8]:
    return np.asarray(draw_page(results, MAX_PIXELS))


def text_of(drawn: NDArray[np.uint8], line: int) -> NDArray[np.uint8]:
    """The pixels of one line of text of the first cell."""
    top = 8 + SIDE + 4 + 18 * line
    return drawn[top : top + 18, : CELL[0]]


def test_a_page_shows_each_image_whole_with_three_lines_below(photo: Path) -> None:
    drawn = page(said(photo))
    assert drawn.shape == (CELL[1], CELL[0], 3)
    red = (drawn == (255, 0, 0)).all(axis=2)
    assert red.sum() == SIDE * SIDE / 2  # twice as wide as high
    assert red[8 + SIDE // 4 : 8 + SIDE * 3 // 4, 8 : 8 + SIDE].all()
    for line in range(3):
        assert (text_of(drawn, line) < 128).any()
    others = (
        said(photo, task="birds"),
        said(photo, label="dog"),
        dataclasses.replace(said(photo), probability=0.5),
    )
    for line, other in enumerate(others):
        changed = page(other)
        same = [(text_of(changed, at) == text_of(drawn, at)).all() for at in range(3)]
        assert same == [at != line for at in range(3)]


def test_new_images_are_marked(photo: Path) -> None:
    known, new = page(said(photo)), page(said(photo, known=False))
    mark = np.array((0xC2, 0x41, 0x0C))
    assert not (known == mark).all(axis=2).any()
    frame = (new == mark).all(axis=2)[8 : 8 + SIDE, 8 : 8 + SIDE]
    assert frame[:4].all()
    assert frame[-4:].all()
    assert frame[:, :4].all()
    assert not frame[4:-4, 4:-4].any()
    assert (text_of(new, 0) == mark).all(axis=2).any()


def test_an_image_that_could_not_be_read_keeps_its_place(photo: Path, tmp_path: Path) -> None:
    broken = PredictedSource(str(tmp_path / "broken.png"), None, None, None, None, "broken")
    gone = said(tmp_path / "gone.png")
    drawn = page(broken, said(photo), gone)
    assert drawn.shape == (2 * CELL[1], 2 * CELL[0], 3)
    red = (drawn == (255, 0, 0)).all(axis=2)
    assert not red[: CELL[1], : CELL[0]].any()
    assert red[: CELL[1], CELL[0] :].any()
    assert (text_of(drawn, 0) < 128).any()
    assert not red[CELL[1] :].any()


@pytest.mark.parametrize("width", [20, 60, SIDE])
@pytest.mark.parametrize(
    "text",
    ["cat", "a long name of a class, and longer still", "x" * 4096, "é猫" * 99, "\x1b\u202e"],
)
def test_text_never_leaves_its_cell(text: str, width: int) -> None:
    said = shortened(text, width)
    assert said.isprintable()
    assert drawing._font_of(said).getlength(said) <= width
    if text == "cat" and width == SIDE:
        assert said == "cat"
    if len(text) > 30 and width == SIDE:
        assert "…" in said


def test_a_cut_keeps_both_ends() -> None:
    one, other = (shortened(f"a long name of a class, number {n}", SIDE) for n in (17, 18))
    assert one.startswith("a long")
    assert (one[-2:], other[-2:]) == ("17", "18")


def test_what_no_font_has_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    for cached in (drawing._fonts, drawing._has):
        cached.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "_SYSTEM_FONTS", ("no-such-font.ttf",))
        assert shortened("café", SIDE) == "caf\\xe9"
    for cached in (drawing._fonts, drawing._has):
        cached.cache_clear()
    path = Path(pytest.importorskip("matplotlib").get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "_SYSTEM_FONTS", (str(path),))
        assert shortened("café", SIDE) == "café"
        font = drawing._font_of("café")
        assert isinstance(font, ImageFont.FreeTypeFont)
        assert font.getname()[0] == "DejaVu Sans"
    for cached in (drawing._fonts, drawing._has):
        cached.cache_clear()


def test_pages_are_numbered_and_hold_at_most_400(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sheets.MOST_ON_A_PAGE == 400
    assert draw_page([said(tmp_path / "gone.png")] * 400, MAX_PIXELS).size == (
        20 * CELL[0],
        20 * CELL[1],
    )
    monkeypatch.setattr(sheets, "MOST_ON_A_PAGE", 4)
    file = tmp_path / "new" / "sheet.png"
    pages = draw_sheet([said(photo)] * 9, file, MAX_PIXELS, Silent())
    assert pages == tuple(str(file.with_name(f"sheet{n}.png")) for n in ("", "-2", "-3"))
    sizes = []
    for one in pages:
        with Image.open(one) as drawn:
            sizes.append((drawn.format, drawn.size))
    assert sizes == [("PNG", (2 * CELL[0], 2 * CELL[1]))] * 2 + [("PNG", CELL)]
    assert len(list(file.parent.iterdir())) == 3


@pytest.mark.parametrize("taken", ["sheet.png", "sheet-2.png"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_no_other_file_is_replaced_and_then_nothing_is_written(
    taken: str, kind: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_ON_A_PAGE", 2)
    place = tmp_path / "out"
    place.mkdir()
    if kind == "file":
        (place / taken).write_text("mine")
    elif kind == "folder":
        (place / taken).mkdir()
    else:
        (place / taken).symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(NameTakenError, match=f"{taken}: something else found"):
        draw_sheet([said(photo)] * 3, place / "sheet.png", MAX_PIXELS, Silent())
    assert [path.name for path in place.iterdir()] == [taken]
    assert not (tmp_path / "nowhere.png").exists()
    if kind == "file":
        assert (place / taken).read_text() == "mine"


def test_the_same_command_again_leaves_the_pages_as_they_are(
    bank: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_ON_A_PAGE", 40)
    sheet = tmp_path / "sheet.png"
    words = ("predict", "--bank", bank, images, "--sheet", sheet)
    pages = [str(sheet), str(tmp_path / "sheet-2.png")]
    assert answer(*words)["sheets"] == pages
    written = [Path(one).stat().st_mtime_ns for one in pages]
    assert run(*words).out.splitlines()[-2:] == [f"written: {one}" for one in pages]
    assert [Path(one).stat().st_mtime_ns for one in pages] == written
    other = run(*words, "--task", "mnist-perm-1", "--json")
    assert (other.code, other.error["code"]) == (11, "name-taken")
    assert [Path(one).stat().st_mtime_ns for one in pages] == written


def test_a_sheet_lies_neither_among_its_images_nor_in_the_bank(
    own_bank: Path, tmp_path: Path
) -> None:
    images = make_class_folder(tmp_path / "in", {"low": 2, "high": 16}, each=1)
    one = images / "low" / "000.png"
    for given, sheet, message in (
        (images, images / "sheet.png", "lies in an input"),
        (images, images / "low" / "deep" / "sheet.png", "lies in an input"),
        (one, one, "one of the inputs"),
        (one, own_bank / "sheet.png", "lies in the bank"),
    ):
        ran = run("predict", "--bank", own_bank, given, "--sheet", sheet, "--json")
        assert (ran.code, ran.error["code"]) == (2, "usage")
        assert message in ran.error["message"]
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_a_sheet_beside_single_images_is_fine(bank: Path, tmp_path: Path) -> None:
    images = make_class_folder(tmp_path / "in", {"low": 2}, each=1)
    one = images / "low" / "000.png"
    sheet = one.with_name("sheet.png")
    assert answer("predict", "--bank", bank, one, "--sheet", sheet)["sheets"] == [str(sheet)]
