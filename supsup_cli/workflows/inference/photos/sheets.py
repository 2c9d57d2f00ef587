"""`predict --sheet`: write a contact sheet as PNG pages that never replace a file."""

import io
from collections.abc import Sequence
from pathlib import Path

from bank_format.disk import files
from bank_format.errors import DamagedError, NameTakenError
from supsup_cli.errors import UsageError
from supsup_cli.workflows.inference.photos.drawing import draw_page
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.inference import PredictedSource

MOST_ON_A_PAGE = 400
_MOST_BYTES = 2**28  # of an existing file, to compare with a page


def check_sheet_name(file: Path) -> None:
    """Refuse a name that does not end in .png.

    Raises:
        UsageError: it does not.
    """
    if file.suffix.lower() != ".png":
        raise UsageError(
            f"--sheet {file}: expected a name that ends in .png",
            hint=f"--sheet {file.with_suffix('.png') if file.name else 'sheet.png'}",
        )


def draw_sheet(
    results: Sequence[PredictedSource], file: Path, max_pixels: int, reporter: Reporter
) -> tuple[str, ...]:
    """Draw all images, 400 a page: FILE.png, FILE-2.png, FILE-3.png, ….

    A page that already exists with the same bytes stays; if one of the names has any other content,
    nothing is written.

    Args:
        results: finished answers; a source is the image's path.
        file: first page; its folder is created if missing.
        max_pixels: an image with more is not read.
        reporter: gets the progress.

    Returns:
        the pages' files, in order.

    Raises:
        NameTakenError: another file has a page's name; it is unchanged.
        StorageError (of the bank's format): a page cannot be written.
    """
    pages = {
        _page_name(file, number): results[start : start + MOST_ON_A_PAGE]
        for number, start in enumerate(range(0, len(results), MOST_ON_A_PAGE), start=1)
    }
    there = {name: part for name, part in pages.items() if files.exists(name)}
    with reporter.track("drawing", len(results), "images") as advance:
        # compare existing files before writing the first page, so that a refusal changes nothing
        for name, part in there.items():
            if not _holds(name, _png(part, max_pixels)):
                raise NameTakenError(
                    f"{name}: something else found, expected no file or this very page; "
                    "it is unchanged",
                    hint="choose another --sheet FILE.png, or move the file away",
                )
            advance(len(part))
        files.make_folder(file.parent)
        for name, part in pages.items():
            if name not in there:
                files.write_new(name, _png(part, max_pixels))
                advance(len(part))
    return tuple(map(str, pages))


def _page_name(file: Path, number: int) -> Path:
    return file if number == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")


def _png(part: Sequence[PredictedSource], max_pixels: int) -> bytes:
    buffer = io.BytesIO()
    draw_page(part, max_pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _holds(file: Path, page: bytes) -> bool:
    try:
        return files.read_bytes(file, _MOST_BYTES) == page
    except (DamagedError, FileNotFoundError, NotADirectoryError):
        return False
