"""Check that a contact sheet and a sorted folder lie apart from the images and the bank.

If copies lay inside the images' folder, the next run would read them as images; a folder around the
images would mix copies with originals. Paths are compared with all links resolved.
"""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from bank_format.disk.stores import Place
from bank_format.store.layout import MASKS
from supsup_cli.data.limits import MOST_FILES
from supsup_cli.data.sources import find_images
from supsup_cli.errors import UsageError

_HINT = "choose a folder of its own, such as ../sorted"


def check_places(
    bank: Place, sheet: Path | None, folder: Path | None, arguments: Sequence[str], lines: list[str]
) -> None:
    """Refuse places that would mix written files with read ones.

    Args:
        bank: the bank's place.
        sheet: file of the contact sheet, if there is to be one.
        folder: folder to sort into, if images are to be sorted.
        arguments: images as they were typed: files, folders, patterns, "-".
        lines: what "-" stands for.

    Raises:
        UsageError: the sheet would be an input, or lie in the bank or in a folder of inputs; the
            folder would contain or lie in the bank or an input.
        NoInputError: as `find_images`.
    """
    # masks/ may be a link to another disk; an object store is apart from every folder
    kept = {_real(one) for one in (bank, bank / MASKS)} if isinstance(bank, Path) else set()
    files = [one.path for one in find_images(arguments, lines)]
    inputs = _folders(_named(arguments, lines), files)
    if sheet is not None:
        place = _real(sheet)
        _check_outside(f"--sheet {sheet}", place, {"the bank": kept, "an input": inputs})
        if any(_real(one) == place for one in files):
            raise UsageError(f"--sheet {sheet}: one of the inputs, expected a file of its own")
    if folder is None:
        return
    place = _real(folder)
    _check_outside(f"--sort {folder}", place, {"the bank": kept, "an input": inputs})
    for what, inside in (("the bank", kept), ("an input", inputs)):
        _check_around(folder, place, what, inside)
    # once per folder: resolving asks the system about every part of a path
    parents = {os.path.dirname(one) or "." for one in files}  # noqa: PTH120 - of what was typed
    _check_around(folder, place, "an input", (_real(one) for one in parents))
    links = (_real(one) for one in files if os.path.islink(one))  # noqa: PTH114 - faster
    _check_around(folder, place, "an input", links)


def _real(path: Path | str) -> Path:
    """Resolve links, also in paths that do not exist; a loop of links stays as it is."""
    return Path(os.path.realpath(path))


def _named(arguments: Sequence[str], lines: Iterable[str]) -> Iterator[str]:
    """List the files and folders that were named, before entering any folder."""
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\r\n") for line in lines)
        elif os.path.lexists(argument) or not glob.has_magic(argument):
            yield argument
        else:
            yield from islice(glob.iglob(argument, recursive=True), MOST_FILES)  # noqa: PTH207


def _folders(named: Iterable[str], files: Iterable[str]) -> set[Path]:
    """Find the folders that images are read from, including those behind links in them."""
    tops = {one.rstrip("/") or "/" for one in named if os.path.isdir(one)}  # noqa: PTH112
    found = {*tops}
    for file in files:
        above = os.path.dirname(file)  # noqa: PTH120 - keeps what was typed
        passed = []
        while above and above not in found:
            passed.append(above)
            above = os.path.dirname(above) if above != "/" else ""  # noqa: PTH120
        if above in found:
            found.update(passed)
    return {_real(one) for one in found}


def _check_outside(option: str, place: Path, apart: dict[str, set[Path]]) -> None:
    for what, folders in apart.items():
        for folder in folders:
            if place.is_relative_to(folder):
                raise UsageError(
                    f"{option}: lies in {what}, {folder}, expected a place outside",
                    hint=_HINT,
                )


def _check_around(folder: Path, place: Path, what: str, inside: Iterable[Path]) -> None:
    for one in inside:
        if one.is_relative_to(place):
            raise UsageError(
                f"--sort {folder}: contains {what}, {one}, expected a folder apart from it",
                hint=_HINT,
            )
