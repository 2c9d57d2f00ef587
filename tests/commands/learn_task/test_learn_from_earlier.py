"""Sparse masks, transfer and combinations, as learn-task makes them and other commands see them."""

from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.encoding.bits import count_ones
from supsup_cli.core.masks.density import parse_density
from tests.support.commands import answer, learn, make_bank, make_class_folder, run

SHAPES = [(16, 784), (16, 16), (100, 16)]


@pytest.mark.parametrize("density", ["0.05", "er:2", "0.9"])
def test_a_density_is_kept_to_the_weight(density: str, tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    plain = ("--density", density, "--no-signature")
    (task,) = learn(bank, "mnist-split-0", more=plain)
    kept = [count_ones(mask) for mask in Bank.open(bank).read_task("mnist-split-0").masks.values()]
    assert kept == parse_density(density).kept(SHAPES)
    assert task["density"] == pytest.approx(sum(kept) / (784 * 16 + 16 * 16 + 16 * 100))
    assert task["accuracy"] > 0.85
    again = learn(bank, "mnist-split-0", more=plain)
    assert (again[0]["status"], again[0]["content_sha256"]) == ("exists", task["content_sha256"])
    if density == "0.05":
        assert task["bytes"] < 0.6 * (784 * 16 + 16 * 16 + 16 * 100) / 8 + 2_500


def test_sparse_and_dense_tasks_live_in_one_bank(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    learn(bank, "mnist-perm-0", steps=200)
    learn(bank, "mnist-perm-1", steps=200, more=("--density", "er:4"))
    for method in ("auto", "one-shot", "descent"):
        words = ("--limit", 100, "--method", method)
        document = answer("evaluate", "--bank", bank, *words)
        assert document["mean"]["task_accuracy"] > (0.9 if method == "auto" else 0.6)
    predicted = answer("predict", "--bank", bank, "--data", "mnist-perm-1", "--limit", 50)
    sure = [one["probability"] for one in predicted["results"] if one["task"] == "mnist-perm-1"]
    assert sum(sure) / len(sure) > 0.4  # without its gain, a sparse mask is never sure


@pytest.mark.parametrize("density", ["0", "1.5", "er:0", "er:", "much", "-1", "nan"])
def test_what_is_no_density_is_refused(density: str, own_bank: Path) -> None:
    words = ("--data", "mnist-perm-9", f"--density={density}", "--json")
    ran = run("learn-task", "--bank", own_bank, *words)
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "--density" in ran.error["message"]


@pytest.mark.parametrize("share", ["0", "1.1", "-1", "nan"])
def test_what_is_no_share_to_combine_is_refused(share: str, own_bank: Path) -> None:
    words = ("--data", "mnist-perm-9", f"--combine={share}", "--json")
    ran = run("learn-task", "--bank", own_bank, *words)
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "--combine" in ran.error["message"]


@pytest.mark.parametrize("words", [("--density", "0.1"), ("--transfer",), ("--combine", "0.9")])
def test_another_way_to_learn_is_another_task(words: tuple[str, ...], own_bank: Path) -> None:
    ran = run("learn-task", "--bank", own_bank, "--data", "mnist-perm-0", "--steps", 60, *words)
    assert ran.code == 11
    assert "learned already with recipe" in ran.err


def test_transfer_names_its_parents_and_is_asked_for_not_them(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist-rot-0", "mnist-perm-3", steps=200)
    more = ("--transfer",)
    (first,) = learn(bank, "mnist-rot-10", more=more)
    parents = Bank.open(bank).read_task("mnist-rot-10").content.parents
    assert [one.task for one in parents] == ["mnist-rot-0", "mnist-perm-3"]
    for one in parents:
        assert one.content_sha256 == Bank.open(bank).read_task(one.task).content_sha256
    learn(bank, "mnist-rot-20", more=more)
    again = learn(bank, "mnist-rot-10", more=more)
    assert (again[0]["status"], again[0]["content_sha256"]) == ("exists", first["content_sha256"])
    assert len(Bank.open(bank).read_task("mnist-rot-20").content.parents) == 3


def test_transfer_repeats_itself_in_an_equal_bank(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "other"):
        bank = make_bank(tmp_path / name, "mnist-rot-0", steps=20)
        digests.append(learn(bank, "mnist-rot-10", steps=5, more=("--transfer",))[0])
    assert digests[0]["content_sha256"] == digests[1]["content_sha256"]


def test_transfer_gets_further_in_a_few_steps(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist-rot-0", steps=300)
    names = ("--name", "fresh"), ("--name", "transferred", "--transfer")
    fresh, transferred = (
        learn(bank, "mnist-rot-10", steps=10, more=more)[0]["accuracy"] for more in names
    )
    assert transferred > fresh + 0.1


@pytest.mark.parametrize("more", [("--transfer",), ("--combine", "0.5")])
def test_an_empty_bank_has_nothing_to_give(more: tuple[str, ...], tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    ran = run("learn-task", "--bank", bank, "--data", "mnist-split-0", "--steps", 5, *more)
    assert ran.code == 0
    assert "task mnist-split-0: no earlier mask to start from or to combine" in ran.err
    task = Bank.open(bank).read_task("mnist-split-0")
    assert (task.content.kind, task.content.parents) == ("mask", ())


def test_a_combination_is_learned_listed_inferred_and_found_again(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist", "mnist-perm-1", steps=300)
    more = ("--combine", "0.8")
    (task,) = learn(bank, "mnist-split-1", more=more)
    assert (task["status"], task["kind"]) == ("learned", "combination")
    assert (
        task["bytes"] < 4_000 < min(one.stat().st_size for one in (bank / "masks").glob("mnist.s*"))
    )
    assert task["accuracy"] > 0.8
    again = learn(bank, "mnist-split-1", more=more)
    assert (again[0]["status"], again[0]["content_sha256"]) == ("exists", task["content_sha256"])
    kinds = {one["task"]: one["kind"] for one in answer("stats", "--bank", bank)["per_task"]}
    listed = {one["task"]: one["kind"] for one in answer("tasks", "--bank", bank)["tasks"]}
    assert kinds == listed
    assert kinds["mnist-split-1"] == "combination"
    for method in ("auto", "binary", "descent"):
        words = ("--data", "mnist-perm-1", "--limit", 20, "--method", method)
        named = [one["task"] for one in answer("infer-task", "--bank", bank, *words)["results"]]
        assert named.count("mnist-perm-1") > 10
    given = answer("predict", "--bank", bank, "--data", "mnist-split-1", "--task", "mnist-split-1")
    assert {one["label"] for one in given["results"]} == {"2", "3"}
    assert answer("verify", "--bank", bank)["tasks"] == 3


def test_a_combination_that_is_not_good_enough_gives_way_to_a_mask(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist-perm-1", steps=100)
    words = ("--data", "mnist-perm-2", "--steps", 60, "--combine", "0.6")
    ran = run("learn-task", "--bank", bank, *words)
    assert ran.code == 0
    assert "calibration images, 60.00% asked for" in ran.err
    task = Bank.open(bank).read_task("mnist-perm-2")
    assert (task.content.kind, task.content.steps, task.content.parents) == ("mask", 60, ())
    assert answer("learn-task", "--bank", bank, *words)["tasks"][0]["status"] == "exists"


def test_combinations_have_no_part_in_later_ones(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist", steps=200)
    more = ("--combine", "0.5")
    learn(bank, "mnist-split-0", "mnist-split-1", more=more)
    parents = Bank.open(bank).read_task("mnist-split-1").content.parents
    assert [one.task for one in parents] == ["mnist"]


def test_data_too_small_for_a_calibration_share_is_never_combined(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank", "mnist", steps=20)
    few = make_class_folder(tmp_path / "few", {"cat": 0, "dog": 18}, each=3)
    (task,) = learn(bank, few, steps=5, more=("--combine", "0.01"))
    assert task["kind"] == "mask"
