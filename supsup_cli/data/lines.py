"""Lines of a stream as they come: what is there is taken together, nothing is waited for."""

import os
import select
from collections.abc import Iterator
from typing import TextIO

from supsup_cli.data.limits import MOST_LINE
from supsup_cli.errors import NoInputError

_CHUNK = 1 << 16  # bytes
_MARK = b"\xef\xbb\xbf"  # byte order mark, which some editors put before a list


def lines_as_they_come(stream: TextIO, most: int) -> Iterator[list[str]]:
    """Read lines in batches: one as soon as it is there, with those that wait behind it.

    Args:
        stream: lines of paths; a line's bytes are those of a file's name.
        most: lines of a batch.

    Yields:
        at least one line, without its end; the last may lack one.

    Raises:
        NoInputError: a line is too long to be a path.
    """
    try:
        descriptor = stream.fileno()
    except OSError:  # no file, but text in memory: all of it is there
        for line in stream:
            yield [line.rstrip("\r\n")]
        return
    waiting, ended, first = b"", False, True
    while not ended:
        part = os.read(descriptor, _CHUNK)
        ended = not part
        waiting += part
        if first and len(waiting) >= len(_MARK):
            waiting, first = waiting.removeprefix(_MARK), False
        *whole, waiting = waiting.split(b"\n")
        if len(waiting) > MOST_LINE:
            raise NoInputError(
                f"-: a line of more than {MOST_LINE:,} bytes, expected a path a line"
            )
        if ended and waiting:
            whole.append(waiting)
        # Further chunks that are there already join the batch, as long as it is not full.
        while not ended and whole and len(whole) < most and _ready(descriptor):
            part = os.read(descriptor, _CHUNK)
            ended = not part
            *more, waiting = (waiting + part).split(b"\n")
            whole += more
            if ended and waiting:
                whole.append(waiting)
        for start in range(0, len(whole), most):
            some = whole[start : start + most]
            yield [os.fsdecode(line.removesuffix(b"\r")) for line in some]


def _ready(descriptor: int) -> bool:
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    except OSError:
        return False
