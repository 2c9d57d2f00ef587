"""`predict --sort`: copy images into folders of their task and class.

    FOLDER/TASK/CLASS/IMAGE     of a known task
    FOLDER/_new/IMAGE           of no known task; no task's name begins with "_"

Class names come from banks that others made; `folder_names` turns them into names of folders.
Nothing in the way is overwritten, and links are not followed. A copy appears whole: it is written
under a hidden name, forced to the disk, and then renamed.
"""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from bank_format.disk import system_calls
from bank_format.disk.atomic import give_name, sync_folder
from bank_format.disk.files import storage_error
from bank_format.errors import NameTakenError
from supsup_cli.errors import ImageError, UsageError
from supsup_cli.workflows.inference.photos.folder_names import folder_parts
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.inference import PredictedSource, SortedImage, SortStatus

NEW = "_new"

# Another file system, one without hard links, someone else's file, or too many links to it.
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_CHUNK = 2**20  # bytes
_LONGEST_NAME = 255  # bytes, of a file
_LONGEST_PATH = os.pathconf("/", "PC_PATH_MAX")  # bytes, the final NUL included
_DIGITS = (12, 64)  # digits of the digest that keeps files with one name apart; then all


def sort_images(
    results: Sequence[PredictedSource], folder: Path, *, link: bool, reporter: Reporter
) -> tuple[SortedImage, ...]:
    """Copy each image that could be read into the folder of its task and class.

    A copy keeps the image's bytes, name and time. If another image already has that name there, the
    copy's name gets the first digits of its SHA-256; if it is the same image, nothing happens. So
    typing the same command again changes nothing.

    Args:
        results: finished answers; a source is the image's path.
        folder: folder to sort into; created if missing.
        link: make a hard link instead of a copy.
        reporter: gets the progress.

    Returns:
        one for each result without error, in order.

    Raises:
        UsageError: a link or a file stands where a folder is needed; or no link can be made there.
        StorageError (of the bank's format): a file or folder cannot be written.
    """
    usable = [(one, folder.joinpath(*_parts(one))) for one in results if one.error is None]
    targets = [
        target for target in {target: None for _, target in usable} if _too_long(target) <= 0
    ]
    for target in targets:
        _check_folders(folder, target)
    placed = []
    with reporter.track("sorting", len(usable), "images") as advance:
        for target in targets:
            _make_folders(folder, target)
        for one, target in usable:
            placed.append(_place(one, target, link=link))
            advance(1)
        for target in targets:
            _sync(target)
    return tuple(placed)


def _parts(one: PredictedSource) -> tuple[str, ...]:
    if not one.known or one.task is None or one.label is None:
        return (NEW,)
    return (*folder_parts(one.task), *folder_parts(one.label))


def _too_long(folder: Path) -> int:
    """Count by how many bytes the path of a file in a folder is too long."""
    return len(os.fsencode(folder)) + 1 + _LONGEST_NAME + 1 - _LONGEST_PATH


def _check_folders(top: Path, folder: Path) -> None:
    """Refuse anything but folders on the way down from `top`, which itself may be a link."""
    for above in _down(top, folder):
        try:
            mode = above.stat().st_mode if above == top else above.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error("look at", above, error) from error
        if not stat.S_ISDIR(mode):
            found = "a link" if stat.S_ISLNK(mode) else "no folder"
            raise UsageError(
                f"{above}: {found} found, expected a folder to sort into",
                hint="move it away, or sort into another folder",
            )


def _down(top: Path, folder: Path) -> list[Path]:
    between = [one for one in folder.parents if one.is_relative_to(top)]
    return [*reversed(between), folder]


def _make_folders(top: Path, folder: Path) -> None:
    try:
        top.mkdir(parents=True, exist_ok=True)
        for one in _down(top, folder):
            one.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error("make the folder", Path(error.filename or folder), error) from error
    _check_folders(top, folder)  # another command created something meanwhile


def _place(one: PredictedSource, folder: Path, *, link: bool) -> SortedImage:
    source = one.source
    if (bytes_over := _too_long(folder)) > 0:
        # such a class is rare and hostile, and must not stop the other images
        reason = f"{source}: the name of its class makes a path {bytes_over} bytes too long"
        return SortedImage(source, None, "failed", reason)
    try:
        with _opened(source) as file:
            digest = _digest(source, file)
            for name in _names(source, digest):
                target = folder / name
                if not os.path.lexists(target):
                    file.seek(0)
                    status = _linked(source, target) if link else _copied(source, file, target)
                    if status:
                        return SortedImage(source, str(target), status, None)
                if _holds(target, file, digest):
                    return SortedImage(source, str(target), "exists", None)
    except ImageError as error:
        return SortedImage(source, None, "failed", str(error))
    taken = f"{source}: {target} holds other bytes, expected none or this image's"
    return SortedImage(source, None, "failed", taken)


def _opened(source: str) -> BufferedReader:
    """Open an image for reading; if it has become a pipe, that must not block."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(source, f"cannot be read again ({error.strerror})") from error
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise ImageError(source, "not a regular file any more")
    return file


def _digest(source: str, file: BufferedReader) -> str:
    try:
        return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(source, f"cannot be read again ({error.strerror})") from error


def _names(source: str, digest: str) -> Iterable[str]:
    """Yield the names a copy may have: the image's own, then with more and more of the digest."""
    name = os.path.basename(source)  # noqa: PTH119 - surely a part of the path as it was typed
    yield name
    stem, extension = os.path.splitext(name)  # noqa: PTH122
    for digits in _DIGITS:
        suffix = f"-{digest[:digits]}{extension}"
        if len(os.fsencode(suffix)) > _LONGEST_NAME:  # almost the whole name is extension
            suffix = f"-{digest[:digits]}"
        room = _LONGEST_NAME - len(os.fsencode(suffix))
        yield os.fsdecode(os.fsencode(stem)[:room]) + suffix


def _holds(target: Path, file: BufferedReader, digest: str) -> bool:
    """Return whether a regular file with the same bytes is there; a link does not count."""
    try:
        found, own = target.lstat(), os.fstat(file.fileno())
        if os.path.samestat(found, own):
            return True
        if not stat.S_ISREG(found.st_mode) or found.st_size != own.st_size:
            return False
        with target.open("rb") as there:
            return hashlib.file_digest(there, "sha256").hexdigest() == digest
    except OSError as error:
        raise storage_error("read", target, error) from error


def _linked(source: str, target: Path) -> SortStatus | None:
    """Link the file to a second name; None if that name has just been taken."""
    try:
        os.link(os.path.realpath(source), target)
    except FileExistsError:
        return None
    except FileNotFoundError as error:
        raise ImageError(source, "cannot be read again (it is gone)") from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise storage_error("write", target, error) from error
        raise UsageError(
            f"{target}: no hard link to {source} can be made there ({error.strerror})",
            hint="type the command again without --link",
        ) from error
    return "linked"


def _copied(source: str, file: BufferedReader, target: Path) -> SortStatus | None:
    """Copy a file's bytes and times; None if the name has just been taken."""
    hidden = target.with_name(f".{os.getpid()}.{secrets.token_hex(8)}.tmp")
    times = os.fstat(file.fileno())
    try:
        try:
            with hidden.open("xb") as copy:
                while chunk := _chunk(source, file):
                    copy.write(chunk)
                copy.flush()
                os.utime(copy.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
                system_calls.fsync(copy.fileno())
                made = os.fstat(copy.fileno())
            give_name(hidden, target, (made.st_dev, made.st_ino))
        finally:
            with suppress(OSError):
                hidden.unlink()
    except NameTakenError:
        return None
    except OSError as error:
        raise storage_error("write", target, error) from error
    return "copied"


def _chunk(source: str, file: BufferedReader) -> bytes:
    try:
        return file.read(_CHUNK)
    except OSError as error:
        raise ImageError(source, f"cannot be read again ({error.strerror})") from error


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        raise storage_error("sync", folder, error) from error
