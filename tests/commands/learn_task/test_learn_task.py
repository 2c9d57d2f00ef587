"""What learn-task learns: names, ranges, determinism, nothing forgotten, folders, refusals."""

import json
from pathlib import Path

import pytest
import torch

from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.data import catalog
from supsup_cli.workflows.opening import open_tasks
from tests.support.commands import answer, learn, make_bank, make_class_folder, run

PETS = {"cat": 0, "dog": 18}


def _names(bank: Path) -> list[str]:
    return [one["task"] for one in answer("tasks", "--bank", bank)["tasks"]]


def test_a_range_and_several_data_are_learned_one_by_one(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    tasks = learn(bank, "mnist-perm-4..5", "mnist-split-1", "mnist-rot-90")
    names = ["mnist-perm-4", "mnist-perm-5", "mnist-split-1", "mnist-rot-90"]
    assert [one["task"] for one in tasks] == names
    assert _names(bank) == sorted(names)
    for one in tasks:
        file = bank / "masks" / f"{one['task']}.safetensors"
        assert (one["status"], one["steps"]) == ("learned", 60)
        assert one["bytes"] == file.stat().st_size
        assert 0.4 < one["density"] < 0.6
        assert one["accuracy"] > (0.8 if one["task"] == "mnist-split-1" else 0.12)


def test_the_same_command_again_changes_nothing(own_bank: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in own_bank.rglob("*")}
    again = learn(own_bank, "mnist-perm-0..2", "mnist-split-3")
    assert {one["status"] for one in again} == {"exists"}
    assert {path: path.stat().st_mtime_ns for path in own_bank.rglob("*")} == before


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("data", ("--data", "mnist-perm-9", "--name", "mnist-perm-0")),
        ("steps", ("--data", "mnist-perm-0", "--steps", 59)),
        ("seed", ("--data", "mnist-perm-0", "--seed", 1)),
        ("recipe", ("--data", "mnist-perm-0", "--recipe", "paper")),
        ("recipe", ("--data", "mnist-perm-0", "--batch-size", 64)),
    ],
)
def test_anything_else_under_that_name_is_refused(
    key: str, words: tuple[object, ...], own_bank: Path
) -> None:
    file = own_bank / "masks" / "mnist-perm-0.safetensors"
    before = file.read_bytes()
    ran = run("learn-task", "--bank", own_bank, "--steps", 60, *words, "--json")
    assert (ran.code, ran.error["code"]) == (11, "name-taken")
    assert f"'mnist-perm-0': learned already with {key} " in ran.error["message"]
    assert file.read_bytes() == before


def test_all_names_are_checked_before_the_first_is_learned(own_bank: Path) -> None:
    before = _names(own_bank)
    words = ("learn-task", "--bank", own_bank, "--data", "mnist-perm-7", "--steps", 10, "--data")
    assert run(*words, "mnist-perm-0").code == 11
    assert run(*words, "mnist-perm-nine").code == 2
    assert run(*words, own_bank / "nonesuch").code == 2
    assert _names(own_bank) == before


def test_equal_commands_give_equal_content(tmp_path: Path) -> None:
    one, other = make_bank(tmp_path / "one"), make_bank(tmp_path / "other")
    for recipe in ("default", "paper"):
        more = ("--name", recipe, "--recipe", recipe)
        first, again = (learn(bank, "mnist-perm-0", steps=10, more=more) for bank in (one, other))
        assert first[0]["content_sha256"] == again[0]["content_sha256"]
        seeded = ("--name", f"{recipe}-1", "--recipe", recipe, "--seed", 1)
        third = learn(one, "mnist-perm-0", steps=10, more=seeded)
        assert third[0]["content_sha256"] != first[0]["content_sha256"]


def test_nine_more_tasks_change_no_bit_of_the_first(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist-perm-0", steps=20)
    file = bank / "masks" / "mnist-perm-0.safetensors"
    images = torch.from_numpy(catalog.load_test("mnist-perm-0", (1, 28, 28)).test.images[:200])

    def logits() -> torch.Tensor:
        opened = open_tasks(bank, "cpu")
        masks = opened.stack.masks(opened.names.index("mnist-perm-0"))
        return masked_forward(opened.net.network, masks, opened.net.pixels(images))

    before = file.read_bytes(), logits()
    learn(bank, "mnist-perm-1..9", steps=5)
    assert file.read_bytes() == before[0]
    assert torch.equal(logits(), before[1])


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_few_steps_are_enough_to_commit(recipe: str, steps: int, tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    tasks = learn(bank, "mnist-split-0", steps=steps, more=("--recipe", recipe))
    assert tasks[0]["steps"] == steps
    assert answer("verify", "--bank", bank)["tasks"] == 1


def test_a_folder_of_class_folders_is_a_task(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    held_out = make_class_folder(tmp_path / "My Pets", PETS)
    parted = tmp_path / "parted"
    make_class_folder(parted / "train", PETS)
    make_class_folder(parted / "test", PETS, each=5)
    tasks = learn(bank, held_out, parted, steps=300)
    assert [one["task"] for one in tasks] == ["my-pets", "parted"]
    assert min(one["accuracy"] for one in tasks) >= 0.9
    listed = answer("tasks", "--bank", bank)["tasks"]
    assert [(one["data"], one["classes"]) for one in listed] == [("My Pets", 2), ("parted", 2)]
    again = learn(bank, held_out, steps=300)
    assert again[0]["status"] == "exists"
    assert learn(bank, held_out, steps=300, more=("--name", "pets"))[0]["status"] == "learned"


def test_a_broken_image_of_a_folder_is_named_and_the_rest_is_learned(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    pets = make_class_folder(tmp_path / "pets", PETS)
    (pets / "cat" / "broken.png").write_text("no image")
    words = ("learn-task", "--bank", bank, "--data", pets, "--steps", 10)
    ran = run(*words, "--json")
    assert ran.code == 3
    assert ran.json["ok"] is True
    assert [one["status"] for one in ran.json["tasks"]] == ["learned"]
    assert [one["source"] for one in ran.json["failed"]] == [str(pets / "cat" / "broken.png")]
    told = run(*words, "--name", "again")
    assert told.code == 3
    assert f"not read: {pets}/cat/broken.png: not an image" in told.out


def test_a_class_without_an_image_that_can_be_read_is_no_task(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    pets = make_class_folder(tmp_path / "pets", {"cat": 0})
    (pets / "dog").mkdir()
    (pets / "dog" / "broken.png").write_text("no image")
    ran = run("learn-task", "--bank", bank, "--data", pets, "--steps", 10, "--json")
    assert (ran.code, ran.error["code"]) == (2, "no-input")
    assert "'dog'" in ran.error["message"]
    assert _names(bank) == []
    assert answer("verify", "--bank", bank)["hints"] == []


def test_a_data_set_smaller_than_a_batch(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    few = make_class_folder(tmp_path / "few", PETS, each=1)
    task = learn(bank, few, steps=20)[0]
    assert (task["status"], task["accuracy"]) == ("learned", None)
    assert answer("stats", "--bank", bank)["per_task"][0]["accuracy"] is None
    assert json.loads((bank / "bank.json").read_text())["real_outputs"] == 10


def test_too_many_classes_are_refused_with_advice(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    base = ("--arch", "mlp-8", "--outputs", 20)
    answer("init-base", "--bank", bank, *base, "--real-outputs", 3)
    ran = run("learn-task", "--bank", bank, "--data", "mnist-split-2", "--steps", 5, "--json")
    assert (ran.code, ran.error["code"]) == (2, "too-many-classes")
    assert "6 outputs needed for its 2 classes, the bank has 3 real" in ran.error["message"]
    assert ran.error["hint"].endswith("--real-outputs 6 --outputs 60")
    assert learn(bank, "mnist-split-0", steps=5)[0]["status"] == "learned"


def test_classes_are_counted_before_the_first_task_is_learned(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    many = make_class_folder(tmp_path / "many", {f"c{n}": n for n in range(11)}, each=2)
    ran = run("learn-task", "--bank", bank, "--data", "mnist-perm-0", "--data", many, "--json")
    assert ran.error["code"] == "too-many-classes"
    assert answer("tasks", "--bank", bank)["tasks"] == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", 2**63),
        ("--seed", -1),
        ("--steps", 0),
        ("--steps", 2**40),
        ("--batch-size", 2**30),
    ],
)
def test_numbers_out_of_range_are_refused_at_once(option: str, value: int, own_bank: Path) -> None:
    ran = run("learn-task", "--bank", own_bank, "--data", "mnist-perm-9", option, value, "--json")
    assert ran.code == 2
    assert option in ran.error["message"]


def test_a_batch_may_be_larger_than_the_data(own_bank: Path) -> None:
    (task,) = learn(own_bank, "mnist-split-4", steps=1, more=("--batch-size", 30_000))
    assert task["status"] == "learned"
