"""Seeded hostile inputs for names of data, patterns and images, run in a separate process.

    python -m tests.robustness.fuzzing.fuzz_inputs KIND SEED COUNT

prints one JSON document: how many were accepted and refused, and by how many bytes the process's
memory grew at its peak. Anything but our own errors ends it with a traceback.
"""

import json
import os
import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bank_format.errors import BadNameError
from bank_format.names import check_task_name
from supsup_cli.data import catalog, names
from supsup_cli.data.images import read_image
from supsup_cli.data.sources import find_images
from supsup_cli.errors import ImageError, NoInputError, SupsupError, UsageError
from tests.robustness.fuzzing.hostile_images import hostile_image, sample_images

MAX_PIXELS = 2_000_000
SHAPES = ((1, 28, 28), (3, 17, 40))
NUMBERS = (
    "0", "7", "-1", "249", "99999", "100000", "4294967295", "4294967296", "1e3", "0x10", "1_0",
    "٣", "²", "９", "--1", "+1", "1.5", ".5", "5.", "-0", "-0.0", "00", "360", "-360", "361", "NaN",
    "inf", "1" + "0" * 30, "9" * 400, "0." + "0" * 40 + "1", "", " ", "1 ", "1\n", "1\0",
)  # fmt: skip
FORMS = (
    "mnist", "mnist-perm", "mnist-rot", "mnist-split", "MNIST-perm", "mnist-", "cifar10-split",
    "mnist-perm-mnist-perm", ".", "..", "./mnist", "~", "~nobody", "-", "--", "/", "//", "pets",
)  # fmt: skip
GLUE = (
    "..",
    "...",
    ":",
    "::",
    "-",
    "--",
    "/",
    "../",
    "\\",
    "..:",
    " ",
    "\t",
    ",",
    "[",
    "*",
    "\x1b[",
)
CHARACTERS = "aZ0-_.:/~*?[]{}$`'\"\\ \n\r\t\0\x1b\x7f\x9b\u202e\u200b\ufeffé猫🐈\ud800\udcff"


def hostile_name(draw: random.Random) -> str:
    """Make a name that looks like a data name, a range, or nothing known."""
    kind = draw.randrange(10)
    if draw.randrange(6) == 0:
        first, count = draw.randrange(5), draw.choice((0, 1, 2, 2000))
        form = draw.choice(("mnist-perm", "mnist-rot", "mnist-split"))
        return f"{form}-{first}" + draw.choice(("", f"..{first + count}", f"..{first + count}:2"))
    if kind < 5:
        numbers = [draw.choice(NUMBERS) for _ in range(draw.randrange(1, 4))]
        text = f"{draw.choice(FORMS)}-{numbers[0]}"
        for number in numbers[1:]:
            text += draw.choice(("..", ":", draw.choice(GLUE))) + number
    elif kind < 8:
        parts = [draw.choice((*FORMS, *NUMBERS, *GLUE)) for _ in range(draw.randrange(1, 8))]
        text = "".join(parts)
    else:
        text = "".join(draw.choice(CHARACTERS) for _ in range(draw.randrange(0, 40)))
    for _ in range(draw.choice((0, 0, 0, 1, 3))):
        place = draw.randrange(len(text) + 1)
        text = text[:place] + draw.choice(CHARACTERS) + text[place + draw.randrange(2) :]
    return text * draw.choice((1,) * 50 + (100, 5000))


def check_told(error: SupsupError, most: int) -> None:
    """Check an error: exit 2, few words."""
    assert error.exit_code == 2
    assert 0 < len(error.message) < most


def try_name(draw: random.Random, seen: Counter[str]) -> None:
    """Pass one name to everything that reads names; only usage errors may come out."""
    name = hostile_name(draw)
    try:
        check_task_name(name)
        seen["task names"] += 1
    except BadNameError:
        pass
    try:
        expanded = names.expand([name])
        assert 1 <= len(expanded) <= names.MOST_NAMES
        meaning = names.resolve(expanded[0])
        assert isinstance(meaning, Path) or check_task_name(str(meaning)) == expanded[0]
        if not isinstance(meaning, Path):
            assert len(catalog.digest(expanded[-1], (1, 28, 28))) == 64
        seen["accepted"] += 1
    except (UsageError, NoInputError) as error:
        check_told(error, 2000 + 12 * len(name))
        seen["refused"] += 1


def try_pattern(draw: random.Random, seen: Counter[str]) -> None:
    """Search a small tree by a pattern; every result is inside the tree."""
    pieces = (
        "a",
        "b",
        "*",
        "**",
        "?",
        "[",
        "]",
        "[!a]",
        "[a-",
        "/",
        "x.png",
        "\\",
        "\0",
        "é",
        "{",
        "!",
    )
    pattern = "tree/" + "".join(draw.choice(pieces) for _ in range(draw.randrange(0, 20)))
    try:
        found = find_images([pattern])
        assert all(one.path.startswith("tree/") for one in found)
        seen["accepted"] += 1
    except NoInputError:
        seen["refused"] += 1


def try_image(
    draw: random.Random, seen: Counter[str], samples: Sequence[bytes], path: Path
) -> None:
    """Read one damaged image; the result is a whole array or one line."""
    path.write_bytes(hostile_image(draw, samples))
    shape = draw.choice(SHAPES)
    try:
        pixels = read_image(str(path), shape, MAX_PIXELS)
        assert (pixels.shape, pixels.dtype) == (shape, np.uint8)
        seen["accepted"] += 1
    except ImageError as error:
        check_told(error, 1000)
        seen["refused"] += 1


def peak() -> int:
    """Return the peak memory of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(kind: str, seed: str, count: str) -> None:
    """Run one kind of inputs in an empty folder."""
    draw = random.Random(f"{kind} {seed}")
    seen: Counter[str] = Counter()
    samples = sample_images()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tree = Path("tree/a/b")
        tree.mkdir(parents=True)
        (tree / "x.png").touch()
        image = Path(folder, "image")
        attempts: dict[str, Callable[[], None]] = {
            "names": lambda: try_name(draw, seen),
            "patterns": lambda: try_pattern(draw, seen),
            "images": lambda: try_image(draw, seen, samples, image),
        }
        for sample in samples:  # memory that every use of a decoder takes does not count as growth
            image.write_bytes(sample)
            read_image(str(image), SHAPES[0])
        before = peak()
        for _ in range(int(count)):
            attempts[kind]()
    print(json.dumps({**seen, "growth": peak() - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
