"""Files, folders, patterns and lists become image files."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from supsup_cli.data import sources
from supsup_cli.data.limits import MOST_LINE
from supsup_cli.data.sources import Source, find_images, lines_as_they_come
from supsup_cli.errors import NoInputError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.tif", "sub/.h/d.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "plain.dat").write_bytes(b"x")
    (tmp_path / "odd[1].png").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _paths(*arguments: str, stdin: tuple[str, ...] = ()) -> list[str]:
    return [source.path for source in find_images(arguments, stdin)]


IMAGES = ["images/a.JPG", "images/b.png", "images/sub/c.tif"]


@pytest.mark.usefixtures("tree")
def test_folder_is_searched_in_order_without_hidden_or_other_files() -> None:
    assert _paths("images") == _paths("images/") == IMAGES


@pytest.mark.usefixtures("tree")
def test_paths_stay_as_typed() -> None:
    assert _paths("./images") == [f"./{path}" for path in IMAGES]
    assert _paths(".")[0] == "./odd[1].png"


@pytest.mark.usefixtures("tree")
def test_folder_of_each_source() -> None:
    assert find_images(["images", "plain.dat"]) == [
        Source("images/a.JPG", "images"),
        Source("images/b.png", "images"),
        Source("images/sub/c.tif", "images/sub"),
        Source("plain.dat", "."),
    ]


@pytest.mark.usefixtures("tree")
def test_explicit_files_have_any_extension_and_may_be_hidden() -> None:
    assert _paths("plain.dat", "images/.hidden.png") == ["plain.dat", "images/.hidden.png"]


@pytest.mark.usefixtures("tree")
def test_patterns() -> None:
    assert _paths("images/*.png") == ["images/b.png"]
    assert _paths("images/?.*") == ["images/a.JPG", "images/b.png"]
    assert _paths("im*") == IMAGES
    assert set(_paths("images/**")) == {*IMAGES, "images/notes.txt"}


@pytest.mark.usefixtures("tree")
def test_a_files_literal_name_is_no_pattern() -> None:
    assert _paths("odd[1].png") == ["odd[1].png"]


@pytest.mark.usefixtures("tree")
def test_the_same_path_is_there_as_often_as_it_is_given() -> None:
    b = "images/b.png"
    assert _paths(b, "images", b) == [b, *IMAGES, b]
    assert _paths("-", stdin=(b, b)) == [b, b]


@pytest.mark.usefixtures("tree")
def test_list_on_standard_input() -> None:
    lines = ("images/b.png\n", "\n", "  \n", "gone *.png\r\n", "images\n")
    assert _paths("-", stdin=lines) == ["images/b.png", "gone *.png", *IMAGES]


@pytest.mark.usefixtures("tree")
def test_a_byte_order_mark_before_a_list_is_no_part_of_a_name() -> None:
    assert _paths("-", stdin=("\ufeffimages/b.png\n", "images/a.JPG")) == [IMAGES[1], IMAGES[0]]
    assert _paths("-", stdin=("plain.dat", "\ufeffplain.dat")) == ["plain.dat", "\ufeffplain.dat"]
    with pytest.raises(NoInputError, match="the list on standard input is empty"):
        _paths("-", stdin=("\ufeff\n",))


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.png", "gone.png: no such file or folder"),
        ("*.webp", "*.webp: the pattern matches nothing"),
        ("empty", "empty: no image in this folder"),
    ],
)
def test_what_names_nothing_keeps_its_place_beside_what_does(name: str, message: str) -> None:
    first, second, third = find_images(["plain.dat", name, "images/b.png"])
    assert (first.problem, third.problem) == (None, None)
    assert second.path == name
    assert second.problem is not None
    assert second.problem.message.startswith(message)


@pytest.mark.usefixtures("tree")
def test_loops_of_links_end() -> None:
    Path("images/sub/up").symlink_to("..")
    Path("images/itself").symlink_to("itself")
    Path("images/self.png").symlink_to("self.png")
    Path("images/z.png").symlink_to("gone")
    assert _paths("images") == [*IMAGES[:2], "images/self.png", "images/z.png", IMAGES[2]]


@pytest.mark.usefixtures("tree")
def test_a_linked_folder_is_searched() -> None:
    Path("linked").symlink_to("images/sub")
    assert _paths("linked") == ["linked/c.tif"]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.png",), "gone.png: no such file or folder"),
        (("gone.png", "gone"), "gone.png: no such file or folder"),
        (("*.webp",), "*.webp: the pattern matches nothing"),
        (("empty",), "empty: no image in this folder"),
        (("-",), "-: the list on standard input is empty"),
        ((), "no image given"),
    ],
)
def test_nothing_found_is_named(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(NoInputError) as caught:
        find_images(arguments, ["\n", " "])
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("tree")
def test_unreadable_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(NoInputError, match=r"images: folder cannot be read \(Permission denied\)"):
        find_images(["images"])


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, int]]:
    """Open a pipe whose reader does not block, and return it with the writer's descriptor."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with open(reading, encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        yield stream, writing


def test_a_stream_that_does_not_block_is_waited_for(pipe: tuple[TextIO, int]) -> None:
    stream, writing = pipe
    lines = lines_as_they_come(stream, 256)
    for line in ("a.png", "b.png"):
        later = threading.Timer(0.1, os.write, (writing, f"{line}\n".encode()))
        later.start()
        assert next(lines) == [line]
        later.join()
    later = threading.Timer(0.1, os.close, (writing,))
    later.start()
    assert list(lines) == []
    later.join()


def test_a_line_is_passed_on_though_another_process_took_the_next(
    pipe: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, writing = pipe
    monkeypatch.setattr(sources, "_ready", lambda _descriptor: True)
    os.write(writing, b"a.png\n")
    assert next(lines_as_they_come(stream, 256)) == ["a.png"]
    os.close(writing)


def _streamed(path: Path, content: bytes) -> Iterator[str]:
    path.write_bytes(content)
    with path.open(encoding="utf-8") as stream:
        for lines in lines_as_they_come(stream, 256):
            yield from lines


@pytest.mark.parametrize("chunk", [1, 2, 4, 1 << 16])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]),
        ("\n\ufeffa\n", ["", "\ufeffa"]),
        ("a\n\ufeffb", ["a", "\ufeffb"]),
        ("\ufeff\ufeffa\r\n", ["\ufeffa"]),
        ("\ufeff", []),
        ("é\n", ["é"]),
        ("a", ["a"]),
    ],
)
def test_a_mark_belongs_to_the_first_line_however_bytes_arrive(
    content: str, lines: list[str], chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_CHUNK", chunk)
    assert list(_streamed(tmp_path / "list", content.encode())) == lines


@pytest.mark.parametrize("chunk", [5, 1000, 1 << 16, 1 << 20])
@pytest.mark.parametrize("length", [MOST_LINE, MOST_LINE + 1, 40_000, 65_535, 100_000])
@pytest.mark.parametrize("end", ["\nb", ""])
def test_a_line_is_too_long_however_its_bytes_arrive(
    length: int, end: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_CHUNK", chunk)
    long = "é" * (length // 2) + "x" * (length % 2)
    streamed = _streamed(tmp_path / "list", f"\ufeffa\n{long}{end}".encode())
    assert next(streamed) == "a"
    if length > MOST_LINE:
        with pytest.raises(NoInputError, match="a line of more than 32,768 bytes"):
            next(streamed)
    else:
        assert list(streamed) == [long, *end.split()]


def test_a_list_in_memory_has_the_same_lines() -> None:
    lines = lines_as_they_come(io.StringIO("\ufeffa\r\n\n\ufeffb\n" + "é" * MOST_LINE), 256)
    assert [next(lines), next(lines), next(lines)] == [["a"], [""], ["\ufeffb"]]
    with pytest.raises(NoInputError, match="a line of more than 32,768 bytes"):
        next(lines)
