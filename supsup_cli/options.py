"""Options that several commands share, each declared once."""

import os
import re
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bank_format.disk.stores import Place
from supsup_cli.completion import complete_data
from supsup_cli.data.limits import MOST_PIXELS
from supsup_cli.stores.addresses import place_of, refuse_address

_AnyPath = TypeVar("_AnyPath", Path, str, Path | None)


def usable_path(path: _AnyPath) -> _AnyPath:
    """Return a path that files can have, however odd.

    Raises:
        typer.BadParameter: it holds a NUL, or what no name of a file can be.
    """
    try:
        if path is not None and b"\0" in os.fsencode(path):
            raise ValueError("embedded null byte")
    except ValueError as error:
        raise typer.BadParameter(f"{str(path)!r}: not a usable path ({error})") from error
    return path


def usable_folder(path: Path) -> Path:
    """Return the folder of a bank that a command may write into.

    Raises:
        typer.BadParameter: as `usable_path`.
        UsageError: the address of a bank in an object store.
    """
    refuse_address(usable_path(path))
    return path


def usable_place(path: Path) -> Place:
    """Return where a bank lies that a command reads: a folder, or an object store.

    Raises:
        typer.BadParameter: as `usable_path`.
        UsageError: an address that cannot be used.
    """
    return place_of(str(usable_path(path)))


def usable_uncached_place(path: Path) -> Place:
    """Return where a bank lies, as `usable_place`; nothing is taken from the cache."""
    return place_of(str(usable_path(path)), cached=False)


BankOption = Annotated[
    Path,
    typer.Option(
        "--bank",
        envvar="SUPSUP_BANK",
        help="The bank's folder.",
        metavar="FOLDER",
        callback=usable_folder,
    ),
]
# Typer knows of no unions. What a callback returns is what the command gets, here a `Place`.
ReadBankOption = Annotated[
    Path,
    typer.Option(
        "--bank",
        envvar="SUPSUP_BANK",
        help="The bank's folder, or s3://BUCKET/PREFIX (gs://, az://).",
        metavar="PLACE",
        callback=usable_place,
    ),
]
VerifiedBankOption = Annotated[
    Path,
    typer.Option(
        "--bank",
        envvar="SUPSUP_BANK",
        help="The bank's folder, or s3://BUCKET/PREFIX (gs://, az://).",
        metavar="PLACE",
        callback=usable_uncached_place,
    ),
]
JsonLinesOption = Annotated[
    bool,
    typer.Option(
        "--json-lines", help="Print each answer as a JSON line, as soon as it is decided."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress, no notes.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; tell what would be.")
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Seed of every random draw.", min=0, max=2**63 - 1)
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", help="A seeded N images of each task.", metavar="N")
]
MethodOption = Annotated[
    str,
    typer.Option(
        "--method",
        help="auto, signature, one-shot, binary, descent, exhaustive or hopfield (unit masks).",
        metavar="METHOD",
    ),
]
ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        "--objective",
        help="H (entropy), G (paper) or R (log-odds of no class); default: the method's best.",
        metavar="H|G|R",
    ),
]
GroupOption = Annotated[
    str,
    typer.Option("--group", help="Who shares a decision: image, folder, all, N.", metavar="GROUP"),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="A name (see data list), a range mnist-perm-0..9, a folder.",
        metavar="DATA",
        autocompletion=complete_data,
    ),
]
MaxPixelsOption = Annotated[
    int,
    typer.Option(
        "--max-pixels",
        help="An image file with more pixels is not read.",
        min=1,
        max=MOST_PIXELS,
        metavar="N",
    ),
]
DataRootOption = Annotated[
    str,
    typer.Option(
        "--data-root",
        envvar="SUPSUP_DATA",
        help="Folder of CIFAR and ImageNet.",
        metavar="FOLDER",
        callback=usable_path,
    ),
]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch CIFAR to the data root if it is not there.")
]
FailOnNewOption = Annotated[
    bool, typer.Option("--fail-on-new", help="Exit with 4 if an image is of no known task.")
]
ImagesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Image files, folders, 'patterns', or - for a list on stdin."),
]

DEFAULT_BANK = Path("bank")
MOST_OUTPUTS = 2**24
MOST_STEPS = 2**31 - 1
MOST_IMAGES = 2**20


def parse_shape(text: str) -> tuple[int, int, int]:
    """Read "1x28x28" as (channels, height, width).

    Raises:
        typer.BadParameter: it is not three numbers from 1 to 4096.
    """
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})x(\d{1,4})", text, re.ASCII)
    sizes = tuple(map(int, match.groups())) if match else ()
    if len(sizes) != 3 or not all(1 <= size <= 4096 for size in sizes):
        raise typer.BadParameter(f"{text!r} found, expected CHANNELSxHEIGHTxWIDTH like 1x28x28")
    return sizes[0], sizes[1], sizes[2]
