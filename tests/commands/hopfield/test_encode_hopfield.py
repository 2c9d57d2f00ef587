"""`encode-hopfield`: what is stored, in which order, what is extended, what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.encoding.bits import unpack
from bank_format.kinds.hopfield import Attractors
from bank_format.store.attractors import read_attractors
from tests.support.commands import answer, flip_bit, learn, run
from tests.support.unit_banks import TASKS, make_unit_bank

FILE = "hopfield.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_unit_bank(tmp_path_factory.mktemp("units") / "bank", *TASKS)


@pytest.fixture
def bank(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bank"))


def encode(bank: Path, *more: object) -> Any:
    return answer("encode-hopfield", "--bank", bank, *more)


def stored(bank: Path) -> Attractors:
    found = read_attractors(bank, Bank.open(bank).record)
    assert found is not None
    return found[0]


def patterns(bank: Path) -> dict[str, np.ndarray]:
    """Read the masks in the order in which they were learned: (P, d) of −1 and +1 per layer."""
    opened = Bank.open(bank)
    tasks, _ = opened.read_tasks()
    tasks.sort(key=lambda task: task.provenance.created)
    return {
        one.name: np.where([unpack(task.masks[one.name], one.count) for task in tasks], 1.0, -1.0)
        for one in opened.record.masked
    }


def hebbian(rows: np.ndarray) -> np.ndarray:
    size = rows.shape[1]
    matrix = np.zeros((size, size))
    for row in rows:
        for i in range(size):
            for j in range(size):
                matrix[i, j] += (i != j) * row[i] * row[j] / size
    return matrix


def storkey(rows: np.ndarray) -> np.ndarray:
    size = rows.shape[1]
    matrix = np.zeros((size, size))
    for row in rows:
        field = [sum(matrix[i, k] * row[k] for k in range(size)) for i in range(size)]
        for i in range(size):
            for j in range(size):
                change = row[i] * row[j] - row[i] * field[j] - field[i] * row[j]
                matrix[i, j] += (i != j) * change / size
    return matrix


@pytest.mark.parametrize("rule", ["storkey", "hebbian"])
def test_the_matrices_are_what_the_rule_makes_of_the_masks(bank: Path, rule: str) -> None:
    document = encode(bank, "--rule", rule)
    found, rows = stored(bank), patterns(bank)
    reference = {"storkey": storkey, "hebbian": hebbian}[rule]
    for name, matrix in found.matrices.items():
        assert np.abs(matrix - reference(rows[name])).max() < 1e-12
        assert found.sums[name].tolist() == rows[name].sum(0).tolist()
    assert [one.task for one in found.tasks] == list(TASKS)
    assert document["rule"] == found.rule == rule
    assert document["status"] == "encoded"
    assert (document["patterns"], document["added"]) == (3, 3)
    assert document["units"] == sum(one.shape[1] for one in rows.values())
    assert document["bytes"] == (bank / FILE).stat().st_size
    assert document["mask_bytes"] == 3 * Bank.open(bank).record.mask_bytes
    assert [one["task"] for one in document["recall"]] == list(TASKS)
    assert all(one["exact"] == (one["distance"] == 0) for one in document["recall"])


@pytest.mark.parametrize("rule", ["storkey", "hebbian"])
def test_further_tasks_are_added_and_the_file_is_that_of_all_at_once(bank: Path, rule: str) -> None:
    whole, masks = Path(shutil.copytree(bank, bank.with_name("whole"))), bank / "masks"
    encode(whole, "--rule", rule)
    later = [masks / f"{name}.safetensors" for name in TASKS[1:]]
    aside = [path.rename(bank / path.name) for path in later]
    assert encode(bank, "--rule", rule)["added"] == 1
    for path, place in zip(aside, later, strict=True):
        path.rename(place)
        document = encode(bank, "--rule", rule)
        assert (document["status"], document["added"]) == ("extended", 1)
    assert (bank / FILE).read_bytes() == (whole / FILE).read_bytes()


def test_deleting_and_encoding_again_gives_the_same_content(bank: Path) -> None:
    encode(bank)
    before = (bank / FILE).read_bytes()
    assert encode(bank)["status"] == "exists"
    (bank / FILE).unlink()
    assert encode(bank)["status"] == "encoded"
    assert (bank / FILE).read_bytes() == before


def test_what_cannot_be_built_upon_is_encoded_anew_and_the_reason_is_told(bank: Path) -> None:
    def encoded_anew(*more: object) -> str:
        ran = run("encode-hopfield", "--bank", bank, "--json", *more)
        assert (ran.code, ran.json["status"]) == (0, "encoded")
        return ran.err

    def again() -> bytes:
        (bank / FILE).unlink()
        encode(bank)
        return (bank / FILE).read_bytes()

    encode(bank)
    assert "rule storkey found, hebbian asked for" in encoded_anew("--rule", "hebbian")
    encode(bank)
    assert run("tasks", "remove", TASKS[0], "--bank", bank, "--yes").code == 0
    assert "gone, changed or out of order" in encoded_anew()
    assert (bank / FILE).read_bytes() == again()
    flip_bit(bank / FILE, 500)
    assert "hopfield.safetensors: seal" in encoded_anew()
    assert (bank / FILE).read_bytes() == again()


def test_a_task_copied_in_from_an_earlier_time_is_put_where_it_belongs(
    made: Path, bank: Path
) -> None:
    assert run("tasks", "remove", TASKS[0], "--bank", bank, "--yes").code == 0
    encode(bank)
    assert run("tasks", "copy", TASKS[0], "--from", made, "--bank", bank).code == 0
    assert encode(bank)["status"] == "encoded"
    assert [one.task for one in stored(bank).tasks] == list(TASKS)


def test_stale_attractors_are_hints_of_verify_with_the_command(bank: Path) -> None:
    encode(bank, "--rule", "hebbian")
    assert answer("verify", "--bank", bank)["hints"] == []
    learn(bank, "mnist-perm-9", steps=1)
    (hint,) = answer("verify", "--bank", bank)["hints"]
    command = f"supsup encode-hopfield --bank {bank} --rule hebbian"
    assert hint == f"{FILE} lacks 1 task ('mnist-perm-9'): {command}"
    assert run(*command.split()[1:]).code == 0
    assert answer("verify", "--bank", bank)["hints"] == []


def test_stats_counts_the_bytes(bank: Path) -> None:
    without = answer("stats", "--bank", bank)["bytes"]
    size = encode(bank)["bytes"]
    counted = answer("stats", "--bank", bank)["bytes"]
    assert (without["hopfield"], counted["hopfield"]) == (0, size)
    assert counted["total"] == without["total"] + size


def test_damage_is_code_5_and_set_aside_by_repair(bank: Path) -> None:
    encode(bank)
    flip_bit(bank / FILE, 500)
    assert run("verify", "--bank", bank).code == 5
    ran = run("infer-task", "--method", "hopfield", "--data", TASKS[0], "--bank", bank, "--json")
    assert (ran.code, ran.error["hint"]) == (5, f"supsup encode-hopfield --bank {bank}")
    mended = run("verify", "--repair", "--bank", bank)
    assert mended.code == 0
    assert f"supsup encode-hopfield --bank {bank}" in mended.out
    assert encode(bank)["status"] == "encoded"


def test_verify_recalls_from_corrupted_copies_and_from_data(bank: Path) -> None:
    document = encode(bank, "--verify", "--limit", 64)
    for task, one in zip(TASKS, document["recall"], strict=True):
        assert one["task"] == task
        assert [copy["flipped"] for copy in one["corrupted"]] == [0.05, 0.1, 0.2]
        assert all(copy["exact"] == (copy["distance"] == 0) for copy in one["corrupted"])
        assert one["corrupted"][0]["exact"]
        assert all(value < 0 for value in one["energy"].values())
        assert one["from_data"]["images"] == 64
        assert one["from_data"]["steps"] >= 1
    for layer in document["layers"]:
        assert layer["load"] == pytest.approx(3 / layer["units"])
        assert layer["capacity"] >= 3
    assert document["failed"] == []
    assert document["pays_from"] > document["patterns"]
    told = run("encode-hopfield", "--bank", bank, "--verify", "--limit", 64).out
    assert "would be more from" in told


def test_data_that_has_gone_is_a_failed_input(tmp_path: Path, made: Path) -> None:
    bank = Path(shutil.copytree(made, tmp_path / "bank"))
    folder = tmp_path / "digits"
    answer("data", "export", "mnist-split-0", folder, "--limit", 60)
    learn(bank, folder, steps=1)
    shutil.rmtree(folder)
    ran = run("encode-hopfield", "--bank", bank, "--verify", "--limit", 8, "--json")
    assert ran.code == 3
    document = ran.json
    assert [one["source"] for one in document["failed"]] == ["digits"]
    assert document["recall"][-1]["from_data"] is None
    assert run("encode-hopfield", "--bank", bank, "--verify", "--limit", 8).code == 3


def test_near_the_capacity_a_note_warns(tmp_path: Path) -> None:
    bank = make_unit_bank(tmp_path / "bank", "mnist-perm-0..3", arch="units-12", steps=1)
    told = run("encode-hopfield", "--bank", bank)
    assert told.code == 0
    assert "4 masks in 12 units" in told.err
    assert run("encode-hopfield", "--bank", bank, "--quiet").err == ""


def test_a_bank_of_edges_is_refused_with_the_numbers(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    answer("init-base", "--bank", bank)
    for words in (
        ("encode-hopfield",),
        ("encode-hopfield", "--rule", "hebbian", "--verify"),
    ):
        ran = run(*words, "--bank", bank, "--json")
        assert (ran.code, ran.error["code"]) == (2, "usage")
        for number in ("315,200 edges", "397 GB", "235 GB", "39,400 bytes"):
            assert number in ran.error["message"]
        assert "units-2048-2048" in ran.error["hint"]
    assert not (bank / FILE).exists()


def test_edges_are_refused_where_the_method_asks_for_attractors(bank: Path, tmp_path: Path) -> None:
    edges = tmp_path / "edges"
    answer("init-base", "--bank", edges, "--arch", "mlp-8", "--outputs", 20)
    learn(edges, "mnist-perm-0", steps=1)
    for command in (("infer-task", "--data", "mnist-perm-0"), ("evaluate",)):
        ran = run(*command, "--method", "hopfield", "--bank", edges, "--json")
        assert (ran.code, ran.error["code"]) == (2, "usage")
        assert "edges found, expected of units" in ran.error["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "hopf"), "expected storkey or hebbian"),
        (("--limit", 0), "expected at least 1"),
        (("--verify", "--device", "tpu"), "--device tpu"),
    ],
)
def test_wrong_options_are_refused(bank: Path, words: tuple[object, ...], said: str) -> None:
    ran = run("encode-hopfield", "--bank", bank, *words, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert said in ran.error["message"]


def test_an_empty_bank_has_nothing_to_encode(tmp_path: Path) -> None:
    bank = make_unit_bank(tmp_path / "bank")
    ran = run("encode-hopfield", "--bank", bank, "--json")
    assert (ran.code, ran.error["code"]) == (2, "no-input")
    assert ran.error["hint"].startswith("supsup learn-task")


def test_the_document_is_one_line_of_json(bank: Path) -> None:
    ran = run("encode-hopfield", "--bank", bank, "--json")
    assert json.loads(ran.out)["ok"] is True


def test_masks_whose_kept_units_count_more_than_one_are_refused(tmp_path: Path) -> None:
    bank = make_unit_bank(tmp_path / "bank", "mnist-split-0", arch="units-16", steps=1)
    learn(bank, "mnist-split-1", steps=1, more=("--density", 0.25))
    ran = run("encode-hopfield", "--bank", bank, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "task 'mnist-split-1' with a density found" in ran.error["message"]


def test_more_units_than_memory_holds_matrices_of_are_refused_with_the_numbers(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else 100_000)
    ran = run("encode-hopfield", "--bank", bank, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "layers of 64, 48 units found" in ran.error["message"]
