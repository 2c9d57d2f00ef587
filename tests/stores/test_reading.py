"""A bank in an object store gives the same answers as the folder that was copied there."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import obstore
import pytest

from bank_format.bank import Bank
from bank_format.errors import StorageError
from supsup_cli.stores.addresses import address, place_of
from supsup_cli.stores.objects import memory, open_store
from tests.support.banks import add, create
from tests.support.commands import answer, make_bank, run
from tests.support.flaky_store import FlakyServer, upload

S3 = "s3://banks/some/bank"
READS = (
    ("stats",),
    ("stats", "--overlaps"),
    ("tasks",),
    ("tasks", "show", "mnist-perm-1"),
    ("verify",),
    ("predict", "--data", "mnist-perm-1", "--limit", 5),
    ("predict", "--data", "mnist-perm-1", "--limit", 5, "--task", "mnist-perm-1"),
    ("infer-task", "--data", "mnist-split-3", "--limit", 5),
    ("evaluate", "--limit", 20),
)


def told(document: Any, place: str) -> Any:
    """Leave out the time it took, and where the bank is."""
    text = json.dumps({**document, "seconds": 0}).replace(place, "BANK")
    return json.loads(text)


@pytest.mark.parametrize("words", READS, ids=lambda words: " ".join(map(str, words)))
def test_readers_answer_alike(bank: Path, in_memory: str, words: tuple[object, ...]) -> None:
    folder, store = (answer(*words, "--bank", place) for place in (bank, in_memory))
    assert told(store, in_memory) == told(folder, str(bank))


def test_a_server_answers_alike(bank: Path, served: FlakyServer) -> None:
    for words in (("verify",), ("predict", "--data", "mnist-perm-1", "--limit", 5)):
        folder, store = (answer(*words, "--bank", place) for place in (bank, S3))
        assert told(store, S3) == told(folder, str(bank))


def test_photos_are_sorted_by_a_bank_in_a_store(
    in_memory: str, images: Path, tmp_path: Path
) -> None:
    words = ("--sheet", tmp_path / "sheet.png", "--sort", tmp_path / "sorted")
    said = answer("predict", images / "split-3", "--bank", in_memory, *words)
    assert {one["status"] for one in said["sorted_images"]} == {"copied"}
    assert (tmp_path / "sheet.png").is_file()


def test_tasks_are_copied_from_a_store(in_memory: str, tmp_path: Path) -> None:
    own = make_bank(tmp_path / "own")
    copied = answer("tasks", "copy", "mnist-perm-1", "--from", in_memory, "--bank", own)
    assert [one["status"] for one in copied["tasks"]] == ["copied"]
    assert answer("verify", "--bank", own)["tasks"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("init-base",),
        ("learn-task", "--data", "mnist"),
        ("learn-stream", "--data", "mnist"),
        ("encode-hopfield",),
        ("tasks", "remove", "a", "--yes"),
        ("tasks", "sign"),
        ("tasks", "clean", "--yes"),
        ("tasks", "copy", "a", "--from", "b"),
        ("doctor",),
        ("verify", "--repair"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_writers_say_what_to_do_instead(in_memory: str, words: tuple[str, ...]) -> None:
    ran = run(*words, "--bank", in_memory, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert in_memory in ran.error["message"]
    assert "folder" in ran.error["hint"]


def test_the_format_itself_never_writes_into_a_store(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    upload(bank.path, memory("written"), "bank")
    with pytest.raises(StorageError, match="only be read"):
        add(Bank.open(place_of("memory://written/bank")), "pets")


def test_what_is_not_there_has_its_own_code(in_memory: str) -> None:
    nowhere = run("stats", "--bank", "memory://shared/nowhere", "--json")
    assert (nowhere.code, nowhere.error["code"]) == (10, "no-bank")
    nobody = run("tasks", "show", "nobody", "--bank", in_memory, "--json")
    assert (nobody.code, nobody.error["code"]) == (2, "no-such-task")


def test_addresses_are_told_from_folders() -> None:
    for text in ("s3://b/p/q", "s3:/b/p/q/", "s3://b/p/q/"):
        assert address(text) == "s3://b/p/q"
    assert address("gs://b") == "gs://b"
    for text in ("bank", "./s3:/b/p", "/s3://b", "http://b/p", "C:/b"):
        assert address(text) is None


def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    ran = run("stats", "--bank", S3, "--json")
    assert (ran.code, ran.error["hint"]) == (2, "pip install 'supsup[cloud]'")


def test_readers_of_folders_need_no_obstore(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    assert answer("verify", "--bank", bank)["ok"] is True
    assert os.environ["SUPSUP_CACHE"] not in map(
        str, Path(os.environ["SUPSUP_CACHE"]).parent.iterdir()
    )


def test_an_object_that_is_replaced_after_the_listing_is_read_as_it_is_now() -> None:
    place = memory("replaced")
    obstore.put(place, "bank/hopfield.safetensors", bytes(100))
    store = open_store("memory://replaced/bank", cached=False)
    assert store.list("") == ["hopfield.safetensors"]
    obstore.put(place, "bank/hopfield.safetensors", bytes(120))
    assert len(store.read("hopfield.safetensors", 1000)) == 120
