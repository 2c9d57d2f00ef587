"""Draw a page of a contact sheet: thumbnails with task, class and probability."""

import math
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from supsup_cli.data.decoding import decoded
from supsup_cli.errors import ImageError
from supsup_cli.printable import printable
from supsup_cli.workflows.results.inference import PredictedSource

COLUMNS: Final = 20

_SIDE = 144  # pixels of a thumbnail's longer side
_MARGIN = 8
_LINE = 18  # height of a line of text
_CELL = (_SIDE + 2 * _MARGIN, _SIDE + 3 * _MARGIN + 3 * _LINE)
_TEXT_SIZE = 14
_LONGEST = 200  # characters examined at most; the cell has room for some twenty
_NARROWEST = 2  # pixels of a character; text with narrower ones is cut a little early
_FRAME = 4  # around an image of no known task

_PAPER, _BACK, _INK, _FAINT, _MARK = "#ffffff", "#e6e6e6", "#1a1a1a", "#6b6b6b", "#c2410c"
_THREADS = 4
# Pillow's own font has only ASCII. These fonts come with systems and have more; a text is written
# in the first of them that is installed and has all its characters.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "Arial.ttf",
)

_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def draw_page(results: Sequence[PredictedSource], max_pixels: int) -> Image.Image:
    """Draw images in rows, in order, with three lines of text under each.

    An image of no known task has a frame, and its nearest task follows "new?". An unreadable image
    has an empty place with the file's name.

    Args:
        results: what is known of each image, at least one; a source is the image's path.
        max_pixels: an image with more is not read.

    Returns:
        an "RGB" image, as square as the number of images allows, `COLUMNS` wide at most.
    """
    columns = min(COLUMNS, math.ceil(math.sqrt(len(results))))
    rows = math.ceil(len(results) / columns)
    page = Image.new("RGB", (columns * _CELL[0], rows * _CELL[1]), _PAPER)
    draw = ImageDraw.Draw(page)
    for place, (one, thumbnail) in enumerate(
        zip(results, _thumbnails(results, max_pixels), strict=True)
    ):
        corner = place % columns * _CELL[0] + _MARGIN, place // columns * _CELL[1] + _MARGIN
        _draw_cell(page, draw, corner, one, thumbnail)
    return page


def shortened(text: str, width: int) -> str:
    """Shorten a text that is wider than so many pixels with "…"; escape what no font has.

    The cut is in the middle, because names of many classes differ at their ends.
    """
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + text[-_LONGEST // 2 :]
    text = _writable(printable(text))
    if _font_of(text).getlength(text) <= width:
        return text
    for kept in range(min(len(text) - 1, width // _NARROWEST), 0, -1):
        cut = text[: (kept + 1) // 2].rstrip() + "…" + text[len(text) - kept // 2 :].lstrip()
        if _font_of(cut).getlength(cut) <= width:
            return cut
    return "…"


def _draw_cell(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    one: PredictedSource,
    thumbnail: Image.Image | None,
) -> None:
    left, top = corner
    box = (left, top, left + _SIDE - 1, top + _SIDE - 1)
    draw.rectangle(box, fill=_BACK)
    if thumbnail is not None:
        inset = (_SIDE - thumbnail.width) // 2, (_SIDE - thumbnail.height) // 2
        page.paste(thumbnail, (left + inset[0], top + inset[1]))
    else:
        draw.line((box[:2], box[2:]), fill=_FAINT)
        draw.line(((box[0], box[3]), (box[2], box[1])), fill=_FAINT)
    colour = _INK
    if one.known is False:
        colour = _MARK
        draw.rectangle(box, outline=_MARK, width=_FRAME)
    baseline = top + _SIDE + _MARGIN // 2
    for place, text in enumerate(_lines(one, read=thumbnail is not None)):
        said = shortened(text, _SIDE)
        draw.text((left, baseline + place * _LINE), said, fill=colour, font=_font_of(said))
        colour = colour if place == 0 else _FAINT


def _lines(one: PredictedSource, *, read: bool) -> Iterator[str]:
    """Write the caption of an image: task, class, probability."""
    if one.task is None or one.label is None or one.probability is None:
        yield "not read"
        yield one.source.rpartition("/")[2]
        return
    yield one.task if one.known else f"new? {one.task}"
    yield one.label
    yield f"{100 * one.probability:.1f} %" + ("" if read else ", no longer there")


def _thumbnails(
    results: Sequence[PredictedSource], max_pixels: int
) -> Iterator[Image.Image | None]:
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")  # Pillow's warnings about odd but readable files
        yield from pool.map(lambda one: _thumbnail(one, max_pixels), results)


def _thumbnail(one: PredictedSource, max_pixels: int) -> Image.Image | None:
    """Read an image at a small size; None if it could not be read, or cannot any more."""
    if one.error is not None:
        return None
    try:
        with decoded(one.source, max_pixels, _SIDE) as image:
            small = max(image.size) < _SIDE
            way = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
            return ImageOps.contain(image.convert("RGB"), (_SIDE, _SIDE), way)
    except ImageError:
        return None


def _writable(text: str) -> str:
    """Escape the characters of a text that no font here has all of."""
    if _font_that_has(text) is not None:
        return text
    return text.encode("ascii", "backslashreplace").decode()


def _font_of(text: str) -> _Font:
    return _font_that_has(text) or _fonts()[0]


def _font_that_has(text: str) -> _Font | None:
    for place, font in enumerate(_fonts()):
        if all(_has(place, one) for one in text):
            return font
    return None


@cache
def _fonts() -> tuple[_Font, ...]:
    fonts = [ImageFont.load_default(_TEXT_SIZE)]
    for name in _SYSTEM_FONTS:
        try:
            fonts.append(ImageFont.truetype(name, _TEXT_SIZE))
        except OSError:
            continue
    return tuple(fonts)


@cache
def _has(place: int, one: str) -> bool:
    """Return whether a font draws a character unlike those it does not have."""
    font = _fonts()[place]
    return one == " " or bytes(font.getmask(one)) != bytes(font.getmask("\ufffe"))
