"""`tasks sign`: a missing signature is made from data with the task's digest, and no other."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bank_format.bank import Bank
from bank_format.store.signatures import list_signatures, read_signature, signature_path
from supsup_cli.core.images import LabelledImages
from supsup_cli.workflows.opening import open_network
from supsup_cli.workflows.signatures import make_signature
from supsup_cli.workflows.tasks import sign as workflow
from tests.support.commands import SMALL, answer, flip_bit, learn, make_class_folder, run

CLASSES = {"upper": 2, "lower": 16}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A bank of two tasks without signatures, one from a folder and one from digits."""
    answer("init-base", "--bank", tmp_path / "bank", *SMALL)
    folder = make_class_folder(tmp_path / "halves", CLASSES)
    learn(tmp_path / "bank", folder, "mnist-split-3", steps=5, more=("--no-signature",))
    return tmp_path / "bank"


def _sign(bank: Path, *words: object) -> list[dict[str, Any]]:
    tasks = answer("tasks", "sign", *words, "--bank", bank)["tasks"]
    assert isinstance(tasks, list)
    return tasks


def test_it_is_what_learning_would_have_made_and_the_task_s_file_is_untouched(
    plain: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(plain, tmp_path / "whole"))
    for name in ("halves", "mnist-split-3"):
        (whole / "masks" / f"{name}.safetensors").unlink()
    learn(whole, tmp_path / "halves", "mnist-split-3", steps=5)
    before = {path.name: path.read_bytes() for path in (plain / "masks").iterdir()}
    signed = _sign(plain)
    assert [(one["task"], one["status"]) for one in signed] == [
        ("halves", "signed"),
        ("mnist-split-3", "signed"),
    ]
    bank = Bank.open(plain)
    for one in signed:
        own = Bank.open(whole).read_task(one["task"])
        later = read_signature(plain, bank.record, one["task"])
        assert later is not None
        assert own.content.signature is not None
        assert later.content.signature == own.content.signature
        assert one["images"] == own.content.signature.images
        assert one["bytes"] == signature_path(plain, one["task"]).stat().st_size
        assert own.arrays.keys() == later.arrays.keys()
        for name, array in own.arrays.items():
            np.testing.assert_array_equal(array, later.arrays[name], name)
    assert {path.name: path.read_bytes() for path in (plain / "masks").iterdir()} == before
    assert answer("verify", "--bank", plain)["problems"] == []
    asked = ("infer-task", "--data", "mnist-split-3", "--limit", 20, "--top", 2)
    told = [answer(*asked, "--bank", one)["results"] for one in (plain, whole)]
    assert [one["scores"] for one in told[0]] == [one["scores"] for one in told[1]]


def test_again_it_exists_and_nothing_is_computed(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _sign(plain)
    before = {path.name: path.read_bytes() for path in (plain / "signatures").iterdir()}
    monkeypatch.setattr(workflow, "make_signature", None)
    again = _sign(plain)
    assert again == [one | {"status": "exists"} for one in first]
    assert {path.name: path.read_bytes() for path in (plain / "signatures").iterdir()} == before


def test_one_that_came_with_its_task_exists(tmp_path: Path) -> None:
    answer("init-base", "--bank", tmp_path / "bank", *SMALL)
    learn(tmp_path / "bank", "mnist-split-1", steps=3)
    (one,) = _sign(tmp_path / "bank", "mnist-split-1")
    assert (one["status"], one["bytes"]) == ("exists", 0)
    assert list_signatures(tmp_path / "bank") == []


def test_another_command_that_was_faster_is_no_error(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = workflow.make_signature

    def slow(*arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(workflow, "make_signature", make)
            _sign(plain, "mnist-split-3")
        return make(*arguments)

    monkeypatch.setattr(workflow, "make_signature", slow)
    (one,) = _sign(plain, "mnist-split-3")
    assert one["status"] == "exists"


def test_data_that_have_moved_are_found_by_what_they_are(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "halves").rename(tmp_path / "elsewhere")
    ran = run("tasks", "sign", "halves", "--bank", plain, "--json")
    assert ran.code == 2
    assert "halves" in ran.error["message"]
    assert ran.error["hint"].startswith("say where the data lies now: supsup tasks sign")
    assert list_signatures(plain) == []
    (one,) = _sign(plain, "halves", "--data", tmp_path / "elsewhere")
    assert one["status"] == "signed"


def test_what_can_be_signed_is_and_the_rest_is_told(plain: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "halves")
    ran = run("tasks", "sign", "--bank", plain, "--json")
    assert ran.code == 3
    assert [one["task"] for one in ran.json["tasks"]] == ["mnist-split-3"]
    assert [one["source"] for one in ran.json["failed"]] == ["halves"]
    assert list_signatures(plain) == ["mnist-split-3"]


def test_other_data_are_refused(plain: Path, tmp_path: Path) -> None:
    other = make_class_folder(tmp_path / "other", CLASSES, each=41)
    ran = run("tasks", "sign", "halves", "--data", other, "--bank", plain, "--json")
    assert ran.code == 2
    assert "expected those of a task" in ran.error["message"]
    shutil.rmtree(tmp_path / "halves")
    other.rename(tmp_path / "halves")
    ran = run("tasks", "sign", "halves", "--bank", plain, "--json")
    assert ran.code == 2
    assert "learned from" in ran.error["message"]
    assert list_signatures(plain) == []


def test_a_task_that_is_not_there_or_a_damaged_signature_stops_it(plain: Path) -> None:
    assert run("tasks", "sign", "nobody", "--bank", plain, "--json").code == 2
    _sign(plain, "mnist-split-3")
    path = signature_path(plain, "mnist-split-3")
    flip_bit(path, 700)
    ran = run("tasks", "sign", "mnist-split-3", "--bank", plain, "--json")
    assert ran.code == 5
    assert str(path) in ran.error["message"]
    path.unlink()
    assert _sign(plain, "mnist-split-3")[0]["status"] == "signed"


def test_a_copy_takes_it_along_and_removing_the_task_removes_it(
    plain: Path, tmp_path: Path
) -> None:
    _sign(plain)
    other = tmp_path / "other"
    answer("init-base", "--bank", other, *SMALL)
    answer("tasks", "copy", "halves", "--from", plain, "--as", "copied", "--bank", other)
    assert list_signatures(other) == ["copied"]
    assert _sign(other)[0]["status"] == "exists"
    asked = ("--bank", other, tmp_path / "halves" / "upper")
    assert answer("infer-task", *asked)["method"] == "auto"
    answer("tasks", "remove", "halves", "--yes", "--bank", plain)
    assert list_signatures(plain) == ["mnist-split-3"]
    assert answer("verify", "--bank", plain)["hints"] == []


@pytest.mark.parametrize("arch", ["mlp-40", "conv-4"])
def test_threads_make_no_difference(arch: str, tmp_path: Path) -> None:
    side = (("--input", "1x16x16"), ("--outputs", 20))
    words = [word for pair in side for word in pair]
    answer("init-base", "--bank", tmp_path / "bank", "--arch", arch, *words)
    random = np.random.RandomState(0)
    images = torch.from_numpy(random.randint(0, 256, (700, 1, 16, 16)).astype(np.uint8))
    train = LabelledImages(images[:600], torch.arange(600) % 3)
    held_out = LabelledImages(images[600:], torch.arange(100) % 3)
    net = open_network(tmp_path / "bank", "cpu")
    threads, made = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            (tmp_path / "bank" / "features.safetensors").unlink(missing_ok=True)
            torch.set_num_threads(count)
            found = make_signature(net, train, held_out, 0, "task")
            assert found is not None
            made.append(found)
    finally:
        torch.set_num_threads(threads)
    assert made[0][0] == made[1][0]
    for name, array in made[0][1].items():
        np.testing.assert_array_equal(array, made[1][1][name], name)
