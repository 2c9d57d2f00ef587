"""`predict` with a contact sheet and sorted photos."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bank_format.disk.stores import Place
from supsup_cli.data.sources import read_lines
from supsup_cli.errors import UsageError
from supsup_cli.workflows.inference.inputs import InputRequest
from supsup_cli.workflows.inference.photos.places import check_places
from supsup_cli.workflows.inference.photos.sheets import check_sheet_name, draw_sheet
from supsup_cli.workflows.inference.photos.sorting import sort_images
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.inference import PredictResult


@dataclass(frozen=True)
class Wanted:
    """What to make from the answers.

    Attributes:
        sheet: file of the contact sheet; None for none.
        sort: folder to sort images into; None for none.
        link: make hard links there instead of copies.
    """

    sheet: Path | None = None
    sort: Path | None = None
    link: bool = False


def predict_photos(
    bank: Place,
    inputs: InputRequest,
    wanted: Wanted,
    predict: Callable[[InputRequest], PredictResult],
    reporter: Reporter,
) -> PredictResult:
    """Predict, then draw and sort; everything that can be refused is refused first.

    Args:
        bank: the bank's place.
        inputs: image files; a list on standard input is read only once.
        wanted: what to make from the answers; at least one thing.
        predict: answers these inputs.
        reporter: gets the progress.

    Returns:
        the answers, with the files of the sheet and of the sorted images.

    Raises:
        UsageError: options do not go together, or a place cannot be used.
        NameTakenError: another file has the name of a page.
        StorageError (of the bank's format): a file cannot be written.
        Others: as `predict`.
    """
    if wanted.link and wanted.sort is None:
        raise UsageError("--link: expected together with --sort FOLDER")
    if wanted.sheet is not None:
        check_sheet_name(wanted.sheet)
    if inputs.data:
        option = "--sort" if wanted.sheet is None else "--sheet"
        raise UsageError(
            f"{option} with --data {inputs.data[0]}: expected image files",
            hint=f"supsup data export {inputs.data[0]} images, then supsup predict images",
        )
    if inputs.paths:
        lines = list(read_lines(inputs.stdin)) if "-" in inputs.paths else []
        inputs = replace(inputs, stdin=io.StringIO("".join(lines)))
        check_places(bank, wanted.sheet, wanted.sort, inputs.paths, lines)
    result = predict(inputs)
    if wanted.sheet is not None:
        pages = draw_sheet(result.results, wanted.sheet, inputs.reading.max_pixels, reporter)
        result = replace(result, sheets=pages)
    if wanted.sort is not None:
        placed = sort_images(result.results, wanted.sort, link=wanted.link, reporter=reporter)
        result = replace(result, sorted_images=placed)
    return result
