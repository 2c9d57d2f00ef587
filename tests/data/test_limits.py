"""Reading users' files and lists stops at a limit, with a line that says where."""

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supsup_cli.data import decoding, embedded, limits, pixels, sources
from supsup_cli.data.folders import class_folders, loading, walking
from supsup_cli.data.images import read_image
from supsup_cli.data.sources import find_images, lines_as_they_come, read_lines
from supsup_cli.errors import ImageError, NoInputError, StorageError, UsageError
from tests.support.commands import make_class_folder, run

GREY = (1, 28, 28)


def _png(path: Path, width: int, height: int, mode: str = "L") -> Path:
    Image.new(mode, (width, height)).save(path)
    return path


@pytest.mark.parametrize("command", ["infer-task", "predict"])
def test_max_pixels_is_an_option(command: str, bank: Path, tmp_path: Path) -> None:
    _png(tmp_path / "large.png", 40, 30)
    _png(tmp_path / "small.png", 30, 30)
    assert run(command, tmp_path, "--bank", bank, "--max-pixels", 1200).code == 0
    ran = run(command, tmp_path, "--bank", bank, "--max-pixels", 1199, "--json")
    assert ran.code == 3
    errors = [one["error"] for one in ran.json["results"]]
    assert errors[0].endswith("large.png: 1,200 pixels, expected at most 1,199")
    assert errors[1] is None
    for wrong in (0, -1, limits.MOST_PIXELS + 1, "many"):
        assert run(command, tmp_path, "--bank", bank, "--max-pixels", wrong).code == 2


def test_max_pixels_of_learning_and_measuring(own_bank: Path, tmp_path: Path) -> None:
    folder = make_class_folder(tmp_path / "pets", {"a": 0, "b": 14}, each=20)
    _png(folder / "a" / "large.png", 100, 100)
    words = ("--bank", own_bank, "--max-pixels", 9999)
    ran = run("learn-task", "--data", folder, "--steps", 5, *words, "--json")
    assert ran.code == 3
    assert "10,000 pixels, expected at most 9,999" in str(ran.json["failed"])
    told = run("evaluate", "--tasks", "pets", "--bank", own_bank, "--max-pixels", 1)
    assert told.code == 2
    assert "pixels" in told.err or "usable" in told.err


def test_the_most_pixels_are_what_pillow_allows() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert limits.MOST_PIXELS == 2 * Image.MAX_IMAGE_PIXELS


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(limits.MOST_FILE_BYTES + 1)  # a hole, which takes no space
    with pytest.raises(ImageError, match="1,073,741,825 bytes, expected at most 1,073,741,824"):
        read_image(str(path), GREY)


def test_a_huge_file_does_not_hold_up_a_folders_digest(tmp_path: Path) -> None:
    folder = make_class_folder(tmp_path / "pets", {"a": 0, "b": 14}, each=2)
    digests = {loading.folder_data(folder).source_digest()}
    for size in (limits.MOST_FILE_BYTES + 1, 2**40):
        with (folder / "a" / "huge.png").open("wb") as file:
            file.truncate(size)
        digests.add(loading.folder_data(folder).source_digest())
    assert len(digests) == 3


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to a device", "link to a pipe", "folder"])
def test_only_regular_files_are_read(kind: str, bank: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140600)
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    else:
        path.mkdir()
    with pytest.raises(ImageError, match="expected an image"):
        read_image(str(path), GREY)
    if kind != "folder":
        ran = run("infer-task", path, "--bank", bank)
        assert (ran.code, "a device or pipe" in ran.err) == (2, True)


def test_a_file_may_become_a_pipe_after_the_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = _png(tmp_path / "x.png", 28, 28).stat()
    (tmp_path / "x.png").unlink()
    os.mkfifo(tmp_path / "x.png")
    monkeypatch.setattr(decoding.os, "stat", lambda _path: looked)
    with pytest.raises(ImageError, match="a device or pipe"):
        read_image(str(tmp_path / "x.png"), GREY)


def test_images_decoded_together_are_few_enough(tmp_path: Path) -> None:
    budget = decoding._Budget(100)
    with budget.take(60), budget.take(40):
        assert budget._free == 0
    with budget.take(1000):  # larger than all: read alone
        assert budget._free == 0
    assert budget._free == 100


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "CMYK", "1", "F"])
def test_conversion_in_strips_is_conversion_at_once(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 40, 4), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(noise[..., :2].copy().view(np.uint16)[..., 0])
    else:
        image = Image.fromarray(noise).convert(mode)
    path = tmp_path / "x.tif"
    image.save(path)
    whole = read_image(str(path), (3, 28, 28))
    monkeypatch.setattr(pixels, "_STRIP", 100)
    assert np.array_equal(read_image(str(path), (3, 28, 28)), whole)


def test_one_float_outside_the_unit_range_counts_for_all_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.full((50, 40), 1.0, dtype=np.float32)
    samples[49, 39] = 2.0
    monkeypatch.setattr(pixels, "_STRIP", 100)
    Image.fromarray(samples).save(tmp_path / "x.tif")
    assert read_image(str(tmp_path / "x.tif"), (1, 50, 40)).max() == 2
    samples[49, 39] = 0.5
    Image.fromarray(samples).save(tmp_path / "x.tif")
    assert read_image(str(tmp_path / "x.tif"), (1, 50, 40)).max() == 255


def test_folders_patterns_and_lists_have_a_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_FILES", 3)
    monkeypatch.setattr(walking, "MOST_FILES", 3)
    monkeypatch.setattr(class_folders, "MOST_FILES", 3)
    monkeypatch.chdir(tmp_path)
    folder = make_class_folder(tmp_path / "pets", {"a": 0, "b": 14}, each=2)
    for arguments in (["pets"], ["pets/*/*"], ["-"], ["pets/a", "pets/b"]):
        with pytest.raises(NoInputError, match="more than 3 "):
            find_images(arguments, ["1\n", "2\n", "3\n", "4\n"])
    with pytest.raises(NoInputError, match="more than 3 images"):
        loading.folder_data(folder).classes()
    assert len(find_images(["pets/a"])) == 2
    for number in range(3):
        (folder / "a" / f"{number}.txt").touch()
    with pytest.raises(NoInputError, match="pets/a: more than 3 entries"):
        find_images(["pets/a"])


def test_a_line_without_an_end_is_not_kept_whole(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:
            assert size is not None
            assert 0 < size < 10**6
            return "x" * size

    with pytest.raises(NoInputError, match="a line of more than 32,768 characters"):
        list(read_lines(Endless()))
    monkeypatch.setattr("sys.stdin", Endless())
    assert run("predict", "-", "--bank", bank).code == 2
    assert list(read_lines(io.StringIO("a\nb"))) == ["a\n", "b"]


def test_a_list_without_an_end_is_not_kept_whole(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(io.StringIO):
        told = 0

        def readline(self, size: int | None = -1, /) -> str:
            self.told += 1
            assert self.told <= 4
            return "gone.png\n"

    monkeypatch.setattr(sources, "MOST_FILES", 3)
    monkeypatch.setattr(walking, "MOST_FILES", 3)
    monkeypatch.setattr("sys.stdin", Endless())
    ran = run("predict", "-", "--bank", bank, "--json")
    assert (ran.code, ran.error["message"]) == (
        2,
        "-: more than 3 lines, expected at most as many",
    )


def test_lines_before_one_without_an_end_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a.png\nb.png\n" + bytes(1 << 20))
    with (tmp_path / "list").open() as stream:
        lines = lines_as_they_come(stream, 256)
        assert next(lines) == ["a.png", "b.png"]
        with pytest.raises(NoInputError, match="a line of more than 32,768 bytes"):
            next(lines)
        assert os.lseek(stream.fileno(), 0, os.SEEK_CUR) <= 1 << 17


def test_a_nul_in_a_list_is_one_failed_input(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = _png(tmp_path / "good.png", 28, 28)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"a\0b\n{good}\n\ud800.png\n"))
    ran = run("predict", "-", "--bank", bank, "--json")
    assert ran.code == 3
    assert [one["error"] is None for one in ran.json["results"]] == [False, True, False]


@pytest.mark.parametrize("argument", ["a\0b", "\ud800", "\ud800/*.png", "a\0b/*.png"])
def test_arguments_that_no_file_can_have(argument: str, bank: Path) -> None:
    assert run("predict", argument, "--bank", bank).code == 2


def test_an_embedded_file_inflates_to_its_own_size_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0x27, 0x10]) + bytes(10**7))
    monkeypatch.setattr(embedded, "_read", lambda _name: bomb)
    read: list[int] = []
    inflate = gzip.GzipFile.read

    def record(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        data = inflate(self, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(gzip.GzipFile, "read", record)
    with pytest.raises(StorageError, match="10009 bytes, expected 10008"):
        embedded._load_idx("t10k-labels-idx1-ubyte.gz", (10_000,))
    assert read == [10_009]


def test_an_export_does_not_wait_for_a_pipe_in_its_way(tmp_path: Path) -> None:
    first = Path(run("data", "export", "mnist", tmp_path / "a", "--limit", 1).out.strip())
    first.unlink()
    os.mkfifo(first)
    ran = run("data", "export", "mnist", tmp_path / "a", "--limit", 1)
    assert (ran.code, "holds no regular file" in ran.err) == (2, True)


def test_not_enough_memory_is_said_in_a_line(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr("supsup_cli.workflows.tasks.list.list_tasks", fail)
    ran = run("tasks", "--bank", bank, "--json")
    assert (ran.code, ran.error["code"]) == (13, "memory")


def test_a_path_longer_than_a_task_records_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 4,096 characters"):
        loading.folder_data(Path("/" + "x" * 5000)).classes()
