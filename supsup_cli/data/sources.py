"""From what the user typed to image files: files, folders, globs, a list on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from supsup_cli.data.folders.walking import EXTENSIONS, Seen, too_many, walk_images
from supsup_cli.data.limits import MOST_FILES, MOST_LINE
from supsup_cli.errors import NoInputError


@dataclass(frozen=True, slots=True)
class Source:
    """Name one image file as it is displayed, and the folder it lies in (for groups).

    `error` is "", or why there is nothing to read: a folder that cannot be read stands in the list.
    """

    path: str
    folder: str
    error: str = ""


def find_images(
    arguments: Sequence[str], stdin: Iterable[str] = (), seen: Seen | None = None
) -> list[Source]:
    """Find the image files that the arguments stand for, in their order, each path once.

    A file is taken whatever its extension. A folder is searched with all its subfolders, in
    order of names, for image extensions; hidden entries and those of the system are passed over,
    unless they were named. A pattern with * ? [ that is no file's literal name is matched, and its
    matches are treated as if they had been typed. "-" takes one path a line from `stdin`; a line
    that names nothing stays in the list, so that reading it reports the error in its place. A
    subfolder that cannot be read stands at the end.

    Args:
        arguments: paths, patterns, or "-".
        stdin: lines, with or without their line ends.
        seen: collects what folders hold besides; None if nobody asks.

    Raises:
        NoInputError: an argument names nothing, a folder cannot be read or holds no image,
            there is no argument, or more than `MOST_FILES` files.
    """
    if not arguments:
        raise NoInputError("no image given, expected files, folders, patterns or -")
    seen = Seen() if seen is None else seen
    paths: dict[str, None] = {}
    for argument in arguments:
        try:
            for path in _expand(argument, stdin, seen):
                paths[path] = None
                if len(paths) > MOST_FILES:
                    raise too_many(argument, "image files")
        except ValueError as error:  # a NUL, or what no name of a file can be
            raise NoInputError(f"{argument}: not a usable path ({error})") from error
    found = [(path, "") for path in paths] + seen.unreadable
    return [Source(path, os.path.dirname(path) or ".", error) for path, error in found]  # noqa: PTH120


def read_lines(stream: TextIO) -> Iterator[str]:
    """Read a list a line at a time, so that one without line ends takes no memory.

    Raises:
        NoInputError: a line of more than `MOST_LINE` characters.
    """
    while line := stream.readline(MOST_LINE + 1):
        if len(line) > MOST_LINE:
            raise NoInputError(
                f"-: a line of more than {MOST_LINE:,} characters on standard input, expected a "
                "path a line"
            )
        yield line


def _expand(argument: str, stdin: Iterable[str], seen: Seen) -> Iterator[str]:
    if argument == "-":
        lines = [line.rstrip("\r\n") for line in stdin]
        if not any(line.strip() for line in lines):
            raise NoInputError("-: the list on standard input is empty, expected a path a line")
        for line in lines:
            if line.strip():
                yield from _images_of(line, seen)
        return
    if not os.path.lexists(argument) and glob.has_magic(argument):
        found = glob.iglob(argument, recursive=True)  # noqa: PTH207 - keeps "./" as typed
        matches = sorted(islice(found, MOST_FILES + 1))
        if len(matches) > MOST_FILES:
            raise too_many(argument, "matches")
        if not matches:
            raise NoInputError(f"{argument}: the pattern matches nothing")
        for match in matches:
            yield from _images_of(match, seen)
        return
    if not os.path.lexists(argument):
        raise NoInputError(f"{argument}: no such file or folder")
    yield from _images_of(argument, seen)


def _images_of(path: str, seen: Seen) -> Iterator[str]:
    if not Path(path).is_dir():
        yield path
        return
    own = Seen()
    empty = True
    for image in walk_images(path, own):
        empty = False
        yield image
    if empty:
        if own.unreadable:
            where, reason = own.unreadable[0]
            raise NoInputError(f"{where}: {reason}")
        besides = "".join(f"; {note}" for note in own.notes())
        raise NoInputError(
            f"{path}: no image in this folder, expected files ending in "
            f"{' '.join(EXTENSIONS)}{besides}",
            hint="supsup data export mnist images --limit 100",
        )
    seen.add(own)
