"""`predict --sort`: where images go, what stays, and what is refused."""

import errno
import os
from pathlib import Path

import pytest

from bank_format.disk import system_calls
from bank_format.errors import StorageError
from supsup_cli.errors import UsageError
from supsup_cli.workflows.inference.photos.sorting import sort_images
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.results.inference import PredictedSource, SortedImage
from tests.support.commands import run
from tests.support.trees import tree


def said(path: Path, label: str = "cat", task: str = "pets", known: bool = True) -> PredictedSource:
    return PredictedSource(str(path), task, known, label, 0.9, None)


def sort(folder: Path, *results: PredictedSource, link: bool = False) -> tuple[SortedImage, ...]:
    return sort_images(results, folder, link=link, reporter=Silent())


def statuses(placed: tuple[SortedImage, ...]) -> list[str]:
    return [one.status for one in placed]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file with a given time; sorting only reads its bytes."""
    path = tmp_path / "photos" / "one.jpg"
    path.parent.mkdir()
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    return path


def test_images_go_to_their_task_and_class_and_failed_ones_stay(
    bank: Path, images: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    folder = tmp_path / "sorted"
    words = ("predict", "--bank", bank, images, broken, "--sort", folder)
    ran = run(*words, "--json", "--quiet")
    assert (ran.code, ran.err) == (3, "")
    good = [one for one in ran.json["results"] if one["error"] is None]
    placed = ran.json["sorted_images"]
    assert len(good) == len(placed) == 60
    for one, image in zip(good, placed, strict=True):
        below = Path(image["file"]).relative_to(folder)
        where = (one["task"], one["label"]) if one["known"] else ("_new",)
        assert (image["source"], below.parent.parts) == (one["source"], where)
        assert (folder / below).read_bytes() == Path(one["source"]).read_bytes()
    assert len(tree(folder)) == len({image["file"] for image in placed})
    assert broken.read_bytes() == b"no image"
    told = run(*words)
    assert "sorted: 60 there already" in told.out.splitlines()


def test_the_same_command_again_changes_nothing(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sorted"
    assert statuses(sort(folder, said(photo))) == ["copied"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert before[folder / "pets" / "cat" / "one.jpg"] == 10**18
    assert statuses(sort(folder, said(photo))) == ["exists"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_one_name_and_other_bytes_gets_the_beginning_of_its_digest(
    photo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "more" / "one.jpg"
    other.parent.mkdir()
    other.write_bytes(b"two")
    folder = tmp_path / "sorted"
    # sha256sum of "two"
    names = {"pets/cat/one.jpg": b"one", "pets/cat/one-3fc4ccfe7458.jpg": b"two"}
    assert statuses(sort(folder, said(photo), said(other))) == ["copied", "copied"]
    assert tree(folder) == names
    assert statuses(sort(folder, said(other), said(photo))) == ["exists", "exists"]
    assert tree(folder) == names


def test_a_file_that_no_name_is_left_for_stays_and_is_named(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sorted"
    digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"  # of "one"
    (folder / "pets" / "cat").mkdir(parents=True)
    for name in ("one", f"one-{digest[:12]}", f"one-{digest}"):
        (folder / "pets" / "cat" / f"{name}.jpg").write_bytes(b"???")
    before = tree(folder)
    (placed,) = sort(folder, said(photo))
    assert (placed.status, placed.file) == ("failed", None)
    assert "holds other bytes" in str(placed.error)
    assert tree(folder) == before


def test_new_images_go_to_a_folder_that_no_task_can_have(photo: Path, tmp_path: Path) -> None:
    sort(tmp_path / "sorted", said(photo, known=False))
    assert tree(tmp_path / "sorted") == {"_new/one.jpg": b"one"}
    refused = run("learn-task", "--data", "mnist-perm-0", "--name", "_new", "--bank", tmp_path)
    assert refused.code != 0


@pytest.mark.parametrize(
    "label", ["../../x", "/etc/passwd", "..", "", "a/b", ".", "-rf", "x\u202ey", "y" * 3000]
)
def test_hostile_class_names_stay_below_the_folder(label: str, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sorted"
    before = tree(tmp_path)
    (placed,) = sort(folder, said(photo, label))
    assert (folder / "pets") in Path(str(placed.file)).parents
    assert ".." not in Path(str(placed.file)).parts
    assert list(tree(folder).values()) == [b"one"]
    assert {name: data for name, data in tree(tmp_path).items() if name in before} == before
    assert len(tree(tmp_path)) == len(before) + 1


def test_a_class_name_too_long_for_a_path_stops_no_other_image(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sorted"
    long, short = sort(folder, said(photo, "y" * 4096), said(photo))
    assert (long.status, short.status) == ("failed", "copied")
    assert "bytes too long" in str(long.error)
    assert tree(folder) == {"pets/cat/one.jpg": b"one"}


@pytest.mark.parametrize("where", ["pets", "pets/cat", "_new"])
def test_no_link_on_the_way_is_entered(where: str, photo: Path, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "sorted", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / where).parent.mkdir(parents=True)
    (folder / where).symlink_to(elsewhere)
    with pytest.raises(UsageError, match=f"{where}: a link found"):
        sort(folder, said(photo, "dog"), said(photo), said(photo, known=False))
    assert (tree(folder), tree(elsewhere)) == ({}, {})
    (folder / where).unlink()
    (folder / where).write_bytes(b"a file")
    with pytest.raises(UsageError, match=f"{where}: no folder found"):
        sort(folder, said(photo), said(photo, known=False))


def test_a_link_that_has_an_images_name_is_not_followed(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sorted"
    (folder / "pets" / "cat").mkdir(parents=True)
    for target in (tmp_path / "nothing", photo):  # one to nothing, one to the same bytes
        link = folder / "pets" / "cat" / "one.jpg"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        (placed,) = sort(folder, said(photo))
        assert Path(str(placed.file)).name == "one-7692c3ad3540.jpg"
        assert link.is_symlink()
    assert not (tmp_path / "nothing").exists()


def test_the_folder_itself_may_be_a_link(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "sorted").symlink_to(tmp_path / "disk")
    sort(tmp_path / "sorted", said(photo))
    assert tree(tmp_path / "disk") == {"pets/cat/one.jpg": b"one"}


def test_link_gives_the_image_a_second_name(photo: Path, tmp_path: Path) -> None:
    alias = tmp_path / "alias.jpg"
    alias.symlink_to(photo)
    placed = sort(tmp_path / "sorted", said(photo), said(alias), link=True)
    assert statuses(placed) == ["linked", "linked"]
    for one in placed:
        assert not Path(str(one.file)).is_symlink()
        assert Path(str(one.file)).samefile(photo)
    assert statuses(sort(tmp_path / "sorted", said(photo), link=True)) == ["exists"]


def test_where_no_link_can_be_made_nothing_is_copied_instead(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_paths: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(UsageError, match="no hard link") as raised:
        sort(tmp_path / "sorted", said(photo), link=True)
    assert raised.value.hint == "type the command again without --link"
    assert tree(tmp_path / "sorted") == {}


def test_where_there_are_no_links_a_copy_is_renamed(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_paths: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(system_calls, "link", link)
    assert statuses(sort(tmp_path / "sorted", said(photo))) == ["copied"]
    assert tree(tmp_path / "sorted") == {"pets/cat/one.jpg": b"one"}


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_copy_appears_whole_or_not_at_all(
    call: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, bytes]] = []

    def full(*_arguments: object) -> None:
        seen.append(tree(tmp_path / "sorted"))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(system_calls, call, full)
    with pytest.raises(StorageError, match=r"one\.jpg: cannot write: No space"):
        sort(tmp_path / "sorted", said(photo))
    ((name, data),) = seen[0].items()
    assert Path(name).name.startswith(".")
    assert data == b"one"
    assert tree(tmp_path / "sorted") == {}


def test_another_command_may_take_the_name_first(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, taken = system_calls.link, iter([b"one", b"two"])

    def late(source: Path, target: Path) -> None:
        if data := next(taken, None):
            target.write_bytes(data)
        link(source, target)

    monkeypatch.setattr(system_calls, "link", late)
    assert statuses(sort(tmp_path / "a", said(photo))) == ["exists"]
    (placed,) = sort(tmp_path / "b", said(photo))
    assert placed.status == "copied"
    assert tree(tmp_path / "b" / "pets" / "cat") == {
        "one.jpg": b"two",
        "one-7692c3ad3540.jpg": b"one",
    }


def test_an_image_that_went_away_is_named_and_the_others_are_sorted(
    photo: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    placed = sort(tmp_path / "sorted", said(tmp_path / "gone.jpg"), said(pipe), said(photo))
    assert statuses(placed) == ["failed", "failed", "copied"]
    assert "gone.jpg: cannot be read again (No such file" in str(placed[0].error)
    assert "pipe.jpg: not a regular file any more" in str(placed[1].error)


def test_a_name_that_is_nearly_too_long_is_cut_for_its_digest(tmp_path: Path) -> None:
    results = []
    for place, name in enumerate(["é" * 125 + ".jpeg", "x." + "y" * 253]):
        for content in ("one", "two"):
            path = tmp_path / f"{place}-{content}" / name
            path.parent.mkdir()
            path.write_text(content)
            results.append(said(path))
    placed = sort(tmp_path / "sorted", *results)
    assert statuses(placed) == ["copied"] * 4
    assert len(tree(tmp_path / "sorted")) == 4
