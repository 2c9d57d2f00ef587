"""Turn what the user typed into image files: files, folders, globs, a list on standard input."""

import glob
import os
import select
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import TextIO

from supsup_cli.data.folders.walking import EXTENSIONS, Seen, too_many, walk_images
from supsup_cli.data.limits import MOST_FILES, MOST_LINE
from supsup_cli.errors import NoInputError

_MARK = "\ufeff"  # byte order mark, which some editors put before a list
_MARK_BYTES = _MARK.encode()
_CHUNK = 1 << 16  # bytes of a stream, read at once


@dataclass(frozen=True, slots=True)
class Source:
    """One image file: its name as displayed, and its folder (for groups).

    `problem` says why it cannot be read, if that is already known; an unreadable folder is in the
    list too.
    """

    path: str
    folder: str
    problem: NoInputError | None = None


def find_images(
    arguments: Sequence[str], stdin: Iterable[str] = (), seen: Seen | None = None
) -> list[Source]:
    """Find the image files that the arguments mean, in order.

    A file is taken whatever its ending. A folder is searched with all its subfolders, sorted by
    name, for image endings; hidden and system entries are skipped unless they were named. A pattern
    with * ? [ that is not a file's literal name is expanded, as if its matches had been typed. "-"
    reads one path per line from `stdin`. A path that names nothing, a folder without images and an
    unreadable folder stay in the list with their problem, so that the others are still answered. A
    path given twice is listed twice.

    Args:
        arguments: paths, patterns, or "-".
        stdin: lines, with or without their line ends.
        seen: collects what else the folders hold; None if that is not needed.

    Raises:
        NoInputError: there is no argument or no line, nothing they name exists, or they name more
            than `MOST_FILES` files.
    """
    if not arguments:
        raise NoInputError("no image given, expected files, folders, patterns or -")
    seen = Seen() if seen is None else seen
    found: list[Source] = []
    for argument in arguments:
        try:
            for source in _expand(argument, stdin, seen):
                found.append(source)
                if len(found) > MOST_FILES:
                    raise too_many(argument, "image files")
        except ValueError as error:  # a NUL, or something that cannot be a file's name
            problem = NoInputError(f"{argument}: not a usable path ({error})")
            found.append(_source(argument, problem))
    problems = [source.problem for source in found if source.problem is not None]
    if len(problems) == len(found):
        raise problems[0]
    return found


def read_lines(stream: TextIO) -> Iterator[str]:
    """Read a list line by line, so that one without line ends, or without an end, fills no memory.

    Raises:
        NoInputError: a line of more than `MOST_LINE` characters, or more than `MOST_FILES` lines.
    """
    count = 0
    while line := stream.readline(MOST_LINE + 1):
        count += 1
        if count > MOST_FILES:
            raise too_many("-", "lines")
        if len(line) > MOST_LINE:
            raise NoInputError(
                f"-: a line of more than {MOST_LINE:,} characters on standard input, expected a "
                "path a line"
            )
        yield line


def _expand(argument: str, stdin: Iterable[str], seen: Seen) -> Iterator[Source]:
    if argument == "-":
        lines = [line.rstrip("\r\n") for line in stdin]
        lines[:1] = [line.removeprefix(_MARK) for line in lines[:1]]
        if not any(line.strip() for line in lines):
            raise NoInputError("-: the list on standard input is empty, expected one path per line")
        for line in lines:
            if line.strip():
                yield from _images_of(line, seen)
        return
    if os.path.lexists(argument):
        yield from _images_of(argument, seen)
    elif glob.has_magic(argument):
        names = glob.iglob(argument, recursive=True)  # noqa: PTH207 - keeps "./" as typed
        matches = sorted(islice(names, MOST_FILES + 1))
        if len(matches) > MOST_FILES:
            raise too_many(argument, "matches")
        if not matches:
            yield _source(argument, NoInputError(f"{argument}: the pattern matches nothing"))
        for match in matches:
            yield from _images_of(match, seen)
    else:
        yield _source(argument, NoInputError(f"{argument}: no such file or folder"))


def _images_of(path: str, seen: Seen) -> Iterator[Source]:
    if not is_folder(path):
        yield _source(path)
        return
    own = Seen()
    empty = True
    try:
        for image in walk_images(path, own):
            empty = False
            yield _source(image)
    except NoInputError as error:
        yield _source(path, error)
        return
    for where, reason in own.unreadable:
        yield _source(where, NoInputError(f"{where}: {reason}"))
    if empty and not own.unreadable:
        besides = "".join(f"; {note}" for note in own.notes())
        problem = NoInputError(
            f"{path}: no image in this folder, expected files ending in "
            f"{' '.join(EXTENSIONS)}{besides}",
            hint="supsup data export mnist images --limit 100",
        )
        yield _source(path, problem)
    seen.add(own)


def is_folder(path: str) -> bool:
    """Return whether a path is a folder; if the system refuses to say, reading it says why.

    Raises:
        ValueError: no file can have such a name, because it holds a NUL.
    """
    try:
        return Path(path).is_dir()
    except OSError:  # too long a name, or a folder above it that may not be entered
        return False


def _source(path: str, problem: NoInputError | None = None) -> Source:
    return Source(path, os.path.dirname(path) or ".", problem)  # noqa: PTH120


def lines_as_they_come(stream: TextIO, most: int) -> Iterator[list[str]]:
    """Read lines in batches: the first as soon as it arrives, with all that have arrived by then.

    Lines are the same however their bytes arrive; only their batches may differ.

    Args:
        stream: lines of paths; a line's bytes are those of a file's name. Before the first line,
            and nowhere else, a byte order mark is no part of the name.
        most: largest number of lines in a batch.

    Yields:
        at least one line, without line ends.

    Raises:
        NoInputError: a line has more than `MOST_LINE` bytes; those before it have been passed on.
    """
    try:
        descriptor = stream.fileno()
    except OSError:  # not a file but text in memory, so everything has arrived
        yield from _lines_in_memory(stream)
        return
    waiting, begun, ended = b"", False, False
    while not ended:
        whole: list[bytes] = []
        # Chunks that have already arrived join the batch until it is full.
        while len(whole) < most and (part := _read(descriptor, wait=not whole)) is not None:
            ended = not part
            waiting += part
            if not begun and (b"\n" in waiting or len(waiting) >= len(_MARK_BYTES)):
                waiting, begun = waiting.removeprefix(_MARK_BYTES), True
            *more, waiting = waiting.split(b"\n")
            whole += more
            if ended or any(len(line) > MOST_LINE for line in (*more, waiting)):
                break
        if len(waiting) > MOST_LINE or (ended and waiting):
            whole.append(waiting)
        short = list(takewhile(lambda line: len(line) <= MOST_LINE, whole))
        for start in range(0, len(short), most):
            some = short[start : start + most]
            yield [os.fsdecode(line.removesuffix(b"\r")) for line in some]
        if len(short) < len(whole):
            raise _too_long()


def _lines_in_memory(stream: TextIO) -> Iterator[list[str]]:
    for place, line in enumerate(stream):
        path = line.removesuffix("\n")
        path = path if place else path.removeprefix(_MARK)
        if len(path.encode("utf-8", "surrogatepass")) > MOST_LINE:
            raise _too_long()
        yield [path.removesuffix("\r")]


def _too_long() -> NoInputError:
    return NoInputError(f"-: a line of more than {MOST_LINE:,} bytes, expected one path per line")


def _read(descriptor: int, *, wait: bool) -> bytes | None:
    """Read what has arrived.

    Args:
        descriptor: of the stream. Whoever opened it may have made it non-blocking.
        wait: until something arrives.

    Returns:
        at least one byte; none at the end of the stream; None if nothing has arrived.
    """
    while wait or _ready(descriptor):
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:  # even if it was ready: another process may read from it too
            if not wait:
                return None
            select.select([descriptor], [], [])
    return None


def _ready(descriptor: int) -> bool:
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    except OSError:
        return False
