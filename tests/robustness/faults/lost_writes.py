"""What a disk may hold after a power cut: a model that forgets what was not forced to it.

A recorder replaces `system_calls` and notes what a command did. The model replays it and yields
every state that the disk may be in. The bytes of a file that was not synced may be there, or
missing, or there up to any sector, or zeros. If a folder was not synced since a name was given or
taken there, that change may have happened or not, independently of the others.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bank_format.disk import system_calls

SECTOR = 512  # bytes
_MOST_CHOICES = 2**10

Tree: TypeAlias = dict[str, bytes | None]  # path → a file's bytes, None for a folder
Step: TypeAlias = tuple[str, tuple[Any, ...], Any]  # call, arguments, result


class Killed(BaseException):
    """Simulates the end of the process: nothing that it does afterwards has an effect."""


@dataclass
class Recording:
    """The calls that succeeded, all that were tried, and whether the process was stopped."""

    steps: list[Step] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    killed: bool = False


@contextmanager
def recorded(monkeypatch: Any, stop_before: int | None = None) -> Iterator[Recording]:
    """Record the calls; from the call number `stop_before` on nothing happens any more."""
    recording = Recording()
    descriptors: set[int] = set()

    def wrapped(name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if recording.killed or len(recording.calls) == stop_before:
                recording.killed = True
                raise Killed
            recording.calls.append(name)
            copied = tuple(bytes(one) if isinstance(one, memoryview) else one for one in arguments)
            result = whole(*arguments)
            recording.steps.append((name, copied, result))
            if name == "open_file":
                descriptors.add(result)
            elif name == "close":
                descriptors.discard(arguments[0])
            return result

        return call

    with monkeypatch.context() as patch:
        for name in system_calls.__all__:
            patch.setattr(system_calls, name, wrapped(name, getattr(system_calls, name)))
        with suppress(Killed):
            yield recording
    for descriptor in descriptors:
        os.close(descriptor)


@dataclass(eq=False)
class _File:
    now: bytes = b""
    durable: bytes = b""

    def variants(self) -> list[bytes]:
        """List the contents that a file may have on the disk."""
        if self.now == self.durable:
            return [self.now]
        cuts = range(0, len(self.now), SECTOR)
        torn = [self.now[:cut] for cut in cuts]
        zeros = [self.now[:cut].ljust(len(self.now), b"\0") for cut in cuts]
        holed = [bytes(cut + SECTOR) + self.now[cut + SECTOR :] for cut in cuts]
        return list(dict.fromkeys([self.durable, *torn, *zeros, *holed, self.now]))


@dataclass(eq=False)
class _Folder:
    now: dict[str, "_File | _Folder"] = field(default_factory=dict)
    durable: dict[str, "_File | _Folder"] = field(default_factory=dict)
    pending: list[dict[str, "_File | _Folder | None"]] = field(default_factory=list)

    def change(self, names: dict[str, "_File | _Folder | None"]) -> None:
        self.pending.append(names)
        _apply(self.now, names)

    def sync(self) -> None:
        self.durable, self.pending = dict(self.now), []

    def variants(self) -> list[dict[str, "_File | _Folder"]]:
        """List the entries that a folder may have on the disk."""
        assert 2 ** len(self.pending) <= _MOST_CHOICES
        found = []
        for happened in itertools.product((False, True), repeat=len(self.pending)):
            entries = dict(self.durable)
            for change in itertools.compress(self.pending, happened):
                _apply(entries, change)
            if entries not in found:
                found.append(entries)
        return found


class Disk:
    """A folder's tree, and how much of it has been forced to the disk.

    Args:
        root: the folder, as the recorded calls name it.
        start: a copy of it as it was, all of it on the disk.
    """

    def __init__(self, root: Path, start: Path) -> None:
        self._root = root
        self._top = _read(start)
        self._open: dict[int, tuple[_File | _Folder, int]] = {}

    def replay(self, steps: list[Step]) -> Iterator[None]:
        """Do the steps, one for each turn."""
        for name, arguments, result in steps:
            change = getattr(self, f"_{name}", None)
            if change is not None:
                change(*arguments, result)
                yield

    def states(self) -> Iterator[Tree]:
        """Yield every tree that a power cut may leave at this point."""
        return _states(self._top, "")

    def _at(self, path: Path) -> tuple[_Folder, str] | None:
        try:
            *parts, name = path.relative_to(self._root).parts or ("",)
        except ValueError:
            return None
        folder = self._top
        for part in parts:
            below = folder.now[part]
            assert isinstance(below, _Folder)
            folder = below
        return folder, name

    def _open_file(self, path: Path, flags: int, descriptor: int) -> None:
        place = self._at(path)
        if place is None:
            return
        folder, name = place
        if not name:
            self._open[descriptor] = folder, 0
            return
        if name not in folder.now:
            assert flags & os.O_CREAT
            folder.change({name: _File()})
        node = folder.now[name]
        if flags & os.O_TRUNC:
            assert isinstance(node, _File)
            node.now = b""
        self._open[descriptor] = node, 0

    def _write(self, descriptor: int, data: bytes, count: int) -> None:
        node, at = self._open[descriptor]
        assert isinstance(node, _File)
        node.now = node.now[:at] + data[:count] + node.now[at + count :]
        self._open[descriptor] = node, at + count

    def _fsync(self, descriptor: int, _: None) -> None:
        node, _at = self._open.get(descriptor, (None, 0))
        if isinstance(node, _File):
            node.durable = node.now
        elif node is not None:
            node.sync()

    def _link(self, source: Path, target: Path, _: None) -> None:
        (old, old_name), (new, new_name) = self._place(source), self._place(target)
        new.change({new_name: old.now[old_name]})

    def _rename(self, source: Path, target: Path, _: None) -> None:
        (old, old_name), (new, new_name) = self._place(source), self._place(target)
        assert old is new, "a rename between folders is not atomic everywhere"
        new.change({new_name: old.now[old_name], old_name: None})

    _rename_exclusively = _rename

    def _unlink(self, path: Path, _: None) -> None:
        folder, name = self._place(path)
        folder.change({name: None})

    _rmdir = _unlink

    def _mkdir(self, path: Path, _: None) -> None:
        folder, name = self._place(path)
        folder.change({name: _Folder()})

    def _place(self, path: Path) -> tuple[_Folder, str]:
        place = self._at(path)
        assert place is not None, f"{path} is not below {self._root}"
        return place


def write_tree(tree: Tree, root: Path) -> None:
    """Make a tree of the files below a folder, all of them forced to the disk."""
    for path, data in tree.items():
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)
            os.utime(root / path, (0, 0))


def _apply(
    entries: dict[str, _File | _Folder], change: dict[str, "_File | _Folder | None"]
) -> None:
    for name, node in change.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _read(folder: Path) -> _Folder:
    entries: dict[str, _File | _Folder] = {}
    for path in folder.iterdir():
        if path.is_dir():
            entries[path.name] = _read(path)
        else:
            entries[path.name] = _File(path.read_bytes(), path.read_bytes())
    return _Folder(entries, dict(entries))


def _states(folder: _Folder, above: str) -> Iterator[Tree]:
    for entries in folder.variants():
        below = [list(_variants(node, f"{above}{name}")) for name, node in entries.items()]
        for chosen in itertools.product(*below):
            yield {path: data for tree in chosen for path, data in tree.items()}


def _variants(node: _File | _Folder, path: str) -> Iterator[Tree]:
    if isinstance(node, _File):
        yield from ({path: data} for data in node.variants())
    else:
        yield from ({path: None, **tree} for tree in _states(node, f"{path}/"))
