"""Options that several commands share, each declared once, and how a command shows examples."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from bank_format.disk.stores import Place
from supsup_cli.choices import (
    ARCHITECTURES,
    DEVICES,
    GROUPS,
    INITS,
    METHODS,
    OBJECTIVES,
    RECIPES,
    check_choice,
)
from supsup_cli.completion import complete_data, complete_words
from supsup_cli.data.limits import MOST_PIXELS
from supsup_cli.stores.addresses import place_of, refuse_address

_AnyPath = TypeVar("_AnyPath", Path, str, Path | None)


def usable_path(path: _AnyPath) -> _AnyPath:
    """Return a path if files can have it, however odd.

    Raises:
        typer.BadParameter: it holds a NUL, or cannot be a file's name.
    """
    try:
        if path is not None and b"\0" in os.fsencode(path):
            raise ValueError("embedded null byte")
    except ValueError as error:
        raise typer.BadParameter(f"{str(path)!r}: not a usable path ({error})") from error
    return path


def usable_folder(path: Path) -> Path:
    """Return the folder of a bank to write into.

    Raises:
        typer.BadParameter: as `usable_path`.
        UsageError: it is the address of a bank in an object store.
    """
    refuse_address(usable_path(path))
    return path


def usable_place(path: Path) -> Place:
    """Return the place of a bank to read: a folder, or an object store.

    Raises:
        typer.BadParameter: as `usable_path`.
        UsageError: an address that cannot be used.
    """
    return place_of(str(usable_path(path)))


def usable_uncached_place(path: Path) -> Place:
    """Return the place of a bank like `usable_place`, without the cache."""
    return place_of(str(usable_path(path)), cached=False)


# Panels of the help; the bank, device and seed are in "Options" above them.
NETWORK, DATA, LEARNING = "The network", "Data", "Learning"
DECIDING, OUTPUT = "Telling tasks apart", "Output"


def choice(
    option: str, known: Mapping[str, str], purpose: str, panel: str, also: str = ""
) -> Any:  # as Typer's own function
    """Declare an option that takes one of a few words: listed, checked and completed.

    Args:
        option: as it is typed.
        known: each word, and what it means.
        purpose: what the option decides.
        panel: which panel of the help it stands in.
        also: what the option takes besides those words, which the command then checks itself.
    """

    def checked(typed: str | None) -> str | None:
        if typed and not also:
            check_choice(option, typed, known)
        return typed

    lines = [f"{word}: {meaning}" for word, meaning in known.items()]
    return typer.Option(
        option,
        help="\n\n".join((f"{purpose}.", *lines, *([also] if also else []))),
        metavar="WORD",
        callback=checked,
        autocompletion=complete_words(known),
        rich_help_panel=panel,
    )


def file_option(purpose: str, metavar: str = "FILE", panel: str = OUTPUT) -> Any:
    """Declare an option that names a file or a folder, by default one that is written."""
    return typer.Option(help=purpose, metavar=metavar, callback=usable_path, rich_help_panel=panel)


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
_PLACE_HELP = "The bank's folder, or s3://BUCKET/PREFIX (gs://, az://)."
# Typer does not know unions. The command gets what the callback returns, here a `Place`.
ReadBankOption = Annotated[
    Path,
    typer.Option(
        "--bank",
        envvar="SUPSUP_BANK",
        help=_PLACE_HELP,
        metavar="PLACE",
        callback=usable_place,
    ),
]
VerifiedBankOption = Annotated[
    Path,
    typer.Option(
        "--bank",
        envvar="SUPSUP_BANK",
        help=_PLACE_HELP,
        metavar="PLACE",
        callback=usable_uncached_place,
    ),
]
JsonLinesOption = Annotated[
    bool,
    typer.Option(
        "--json-lines",
        help="Print each answer as a JSON line, as soon as it is decided.",
        rich_help_panel=OUTPUT,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=OUTPUT)
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", help="No progress, no notes.", rich_help_panel=OUTPUT)
]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=OUTPUT),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; print what would change.")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:N or mps.",
        metavar="DEVICE",
        autocompletion=complete_words(DEVICES),
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Seed of every random draw.", min=0, max=2**63 - 1)
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        help="Use N random (seeded) images of each task.",
        metavar="N",
        rich_help_panel=DATA,
    ),
]
ArchOption = Annotated[
    str,
    choice(
        "--arch",
        ARCHITECTURES,
        "The network",
        NETWORK,
        also="mlp-A-B-…: a perceptron with layers of A, B, … units\n\n"
        "units-A-B-…: the same, and masks choose units\n\n"
        "NAME or timm/NAME: with --weights, a network of torchvision or timm",
    ),
]
InitOption = Annotated[
    str, choice("--init", INITS, "How weights are drawn; default: signed-constant", NETWORK)
]
NewHeadOption = Annotated[
    bool,
    typer.Option(
        "--new-head", help="Draw the last layer, whatever --weights has.", rich_help_panel=NETWORK
    ),
]
RecipeOption = Annotated[str, choice("--recipe", RECIPES, "How a mask is learned", LEARNING)]
MethodOption = Annotated[str, choice("--method", METHODS, "How the task is inferred", DECIDING)]
ObjectiveOption = Annotated[
    str | None,
    choice(
        "--objective",
        OBJECTIVES,
        "What masks are compared by (default: what suits the method)",
        DECIDING,
    ),
]
GroupOption = Annotated[
    str,
    choice("--group", GROUPS, "Images decided together", DECIDING, also="or a number of images"),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="A name (see data list), a range like mnist-perm-0..9, or a folder.",
        metavar="DATA",
        autocompletion=complete_data,
        rich_help_panel=DATA,
    ),
]
MaxPixelsOption = Annotated[
    int,
    typer.Option(
        "--max-pixels",
        help="Refuse an image file with more pixels.",
        min=1,
        max=MOST_PIXELS,
        metavar="N",
        rich_help_panel=DATA,
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
        rich_help_panel=DATA,
    ),
]
DownloadOption = Annotated[
    bool,
    typer.Option(
        "--download",
        help="Fetch CIFAR to the data root if it is not there.",
        rich_help_panel=DATA,
    ),
]
FailOnNewOption = Annotated[
    bool,
    typer.Option(
        "--fail-on-new",
        help="Exit with 4 if an image is of no known task.",
        rich_help_panel=DECIDING,
    ),
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


def examples(*commands: str) -> str:
    """Return the end of a command's help: commands to type as they are."""
    return "\n".join(("Examples:", *(f"  {command}" for command in commands)))
