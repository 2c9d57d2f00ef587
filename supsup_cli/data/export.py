"""Write named data as image files, so that other commands and scripts have folders."""

import io
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from supsup_cli.choices import SPLITS, check_choice
from supsup_cli.data import catalog
from supsup_cli.data.names import resolve
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import Split, choose
from supsup_cli.errors import StorageError, UsageError


def export_images(
    data: str,
    folder: str,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    reading: Reading = DEFAULT,
) -> list[str]:
    """Write one split as FOLDER/CLASS/NNNNN.png, NNNNN being the image's place in the split.

    The files are PNG in the data's own size (photos: 224x224); `read_image` reads the same pixels
    back. Running it again writes nothing new; a file with other content is never overwritten.

    Args:
        data: one name of the catalogue.
        folder: where the files go; created if missing.
        split: "train", "calibration" or "test".
        limit: write so many random (seeded) images; None writes all.
        seed: of the choice and of the calibration share.
        reading: where data sets lie that are not in the package.

    Returns:
        the files' paths, in the order of the split, those already there included.

    Raises:
        UsageError: unknown data or split, a folder as data, a limit below 1, or a file of
            other content in the way.
        StorageError: a file cannot be written.
    """
    check_choice("--split", split, SPLITS)
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit}, expected 1 or more")
    if isinstance(resolve(data), Path):
        raise UsageError(
            f"{data}: already a folder of images, expected named data", hint="supsup data list"
        )
    classes, images = _load(data, split, seed, reading)
    return _write(classes, images, Path(folder), choose(len(images), limit, seed))


def _load(data: str, split: str, seed: int, reading: Reading) -> tuple[tuple[str, ...], Split]:
    shape = catalog.native_shape(data)
    if split == "test":
        test_data = catalog.load_test(data, shape, seed=seed, reading=reading)
        return test_data.classes, test_data.test
    task_data = catalog.load(data, shape, seed=seed, reading=reading)
    return task_data.classes, task_data.train if split == "train" else task_data.calibration


def _write(
    classes: tuple[str, ...], split: Split, folder: Path, places: NDArray[np.int64]
) -> list[str]:
    files: dict[Path, bytes] = {}
    part = split.take(places)
    for place, label, image in zip(places.tolist(), part.labels, part.images, strict=True):
        files[folder / classes[label] / f"{place:05d}.png"] = _png(image)
    try:
        # compare all files before writing the first, so that a refusal changes nothing
        missing = [path for path, content in files.items() if not _holds(path, content)]
        for parent in sorted({path.parent for path in missing}):
            parent.mkdir(parents=True, exist_ok=True)
        for path in missing:
            _create(path, files[path])
    except OSError as error:
        name = error.filename or folder
        raise StorageError(f"{name}: cannot be written ({error.strerror or error})") from error
    return [str(path) for path in files]


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    rows = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(rows)).save(buffer, format="PNG")
    return buffer.getvalue()


def _holds(path: Path, content: bytes) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    # a pipe would block, and a large file need not be read: its size already differs
    regular = stat.S_ISREG(status.st_mode)
    if not regular or status.st_size != len(content) or path.read_bytes() != content:
        found = f"{status.st_size} other bytes" if regular else "no regular file"
        raise UsageError(
            f"{path}: holds {found}, expected this export's {len(content)} bytes",
            hint="supsup data export NAME ANOTHER-FOLDER",
        )
    return True


def _create(path: Path, content: bytes) -> None:
    # hidden until complete: a killed export leaves no half image for the next run to refuse
    whole = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        whole.write_bytes(content)
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
