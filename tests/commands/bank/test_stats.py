"""What stats, tasks and verify report about a bank, against the bytes and bits on its disk."""

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bank_format.bank import Bank
from bank_format.encoding.bits import unpack
from tests.support.commands import SMALL, answer, flip_bit, make_bank, run

NAMES = ["mnist-perm-0", "mnist-perm-1", "mnist-perm-2", "mnist-split-3"]
WEIGHTS = 784 * 16 + 16 * 16 + 16 * 100


def _bits(bank: Path) -> dict[str, NDArray[np.bool_]]:
    """Each task's bits, (WEIGHTS,) bool."""
    opened = Bank.open(bank)
    counts = [parameter.count for parameter in opened.record.masked]
    return {
        name: np.concatenate(
            [
                unpack(mask, count)
                for mask, count in zip(opened.read_task(name).masks.values(), counts, strict=True)
            ]
        )
        for name in opened.tasks()
    }


def test_sizes_are_those_of_the_files(bank: Path) -> None:
    document = answer("stats", "--bank", bank)
    sizes = {path.stem: path.stat().st_size for path in (bank / "masks").iterdir()}
    base = (bank / "bank.json").stat().st_size + (bank / "base.safetensors").stat().st_size
    masks = sum(sizes.values())
    assert (document["tasks"], document["parameters"]) == (4, WEIGHTS)
    assert document["bytes"] == {
        "base": base,
        "masks": masks,
        "hopfield": 0,
        "total": base + masks,
    }
    assert document["bits_per_weight"] == pytest.approx(8 * masks / (4 * WEIGHTS))
    assert {one["task"]: one["bytes"] for one in document["per_task"]} == sizes
    rivals = document["rivals"]
    assert rivals["float_scores"] == rivals["networks"] == 4 * 4 * WEIGHTS
    hidden = rivals["dense_hidden"]
    assert 4 * hidden * (784 + 10) <= masks / 4 < 4 * (hidden + 1) * (784 + 10)


def test_densities_and_overlaps_are_those_of_the_bits(bank: Path) -> None:
    bits = _bits(bank)
    document = answer("stats", "--bank", bank, "--overlaps")
    mean = np.mean(list(bits.values()), axis=0)
    assert [one["task"] for one in document["per_task"]] == NAMES
    for one in document["per_task"]:
        mask = bits[one["task"]]
        assert len(mask) == WEIGHTS
        assert one["density"] == pytest.approx(mask.mean())
        # Measured at 1024 bytes of the packed masks, evenly spaced, with 8 weights each.
        kept = np.arange(1024) * (WEIGHTS // 8) // 1024
        here = np.isin(np.arange(WEIGHTS) // 8, kept)
        assert one["overlap"] == pytest.approx(mean[mask & here].mean())
        assert one["overlap"] == pytest.approx(mean[mask].mean(), abs=0.02)
    assert [(one, other) for one, other, _ in document["overlaps"]] == list(combinations(NAMES, 2))
    for one, other, share in document["overlaps"]:
        assert share == pytest.approx((bits[one] == bits[other]).mean())
    assert answer("stats", "--bank", bank)["overlaps"] == []


def test_an_empty_bank_has_stats_too(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    document = answer("stats", "--bank", bank, "--overlaps")
    assert (document["tasks"], document["bits_per_weight"]) == (0, 0.0)
    assert (document["per_task"], document["overlaps"]) == ([], [])
    assert run("stats", "--bank", bank).code == run("tasks", "--bank", bank).code == 0


def test_plot_writes_a_picture(bank: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "overlaps.png"
    document = answer("stats", "--bank", bank, "--plot", picture)
    assert document["plot"] == str(picture)
    assert document["overlaps"] == []
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 20)) > 10
    unknown = run("stats", "--bank", bank, "--plot", tmp_path / "overlaps.xyz", "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "usage")
    nowhere = run("stats", "--bank", bank, "--plot", tmp_path / "none" / "a.png", "--json")
    assert (nowhere.code, nowhere.error["code"]) == (13, "storage")


def test_tasks_are_listed_in_order_of_their_names(bank: Path) -> None:
    tasks = answer("tasks", "--bank", bank)["tasks"]
    stats = answer("stats", "--bank", bank)["per_task"]
    assert [one["task"] for one in tasks] == NAMES
    assert [one["classes"] for one in tasks] == [10, 10, 10, 2]
    for one, same in zip(tasks, stats, strict=True):
        for key in ("kind", "bytes", "density", "accuracy", "created"):
            assert one[key] == same[key]
        assert (one["recipe"], one["steps"], one["data"]) == ("default", 60, one["task"])
    lines = run("tasks", "--bank", bank).out.splitlines()
    assert [line.split()[0] for line in lines] == ["task", *NAMES]


def test_verify_finds_a_whole_bank_whole(bank: Path) -> None:
    whole = {"ok": True, "problems": [], "repairs": [], "hints": [], "tasks": 4}
    assert answer("verify", "--bank", bank).items() >= whole.items()
    assert run("verify", "--bank", bank).out == "4 whole tasks; the bank is whole\n"


@pytest.mark.parametrize(
    "file", ["bank.json", "base.safetensors", "masks/mnist-perm-1.safetensors"]
)
@pytest.mark.parametrize("byte", [9, 200, -1])
def test_damage_is_found_named_and_never_computed_with(
    file: str, byte: int, own_bank: Path, images: Path
) -> None:
    flip_bit(own_bank / file, byte)
    ran = run("verify", "--bank", own_bank, "--json")
    assert (ran.code, ran.json["ok"]) == (5, False)
    assert [one["file"] for one in ran.json["problems"]] == [file]
    assert f"problem: {file}: " in run("verify", "--bank", own_bank).out
    for command in ("infer-task", "predict"):
        ran = run(command, "--bank", own_bank, images, "--json")
        assert ran.code == 5
        if file.startswith("masks/"):  # the others still answer
            (left,) = ran.json["left_out"]
            assert (left["task"], left["exit"]) == ("mnist-perm-1", 5)
            assert file in left["message"]
            answered = {one["task"] for one in ran.json["results"]}
            assert answered <= {*NAMES} - {"mnist-perm-1"}
        else:
            assert ran.error["code"] == "damaged"
            assert file in ran.error["message"]
    for command in ("stats", "tasks"):
        ran = run(command, "--bank", own_bank, "--json")
        # Lists come from the index; of a copied task only the last bytes are read.
        seen = file == "bank.json" or (file.startswith("masks/") and byte == -1)
        assert ran.code == (5 if seen else 0)


def test_every_damaged_file_is_reported(own_bank: Path) -> None:
    for name in NAMES[1:]:
        flip_bit(own_bank / "masks" / f"{name}.safetensors", -40)
    (own_bank / "base.safetensors").unlink()
    ran = run("verify", "--bank", own_bank, "--json")
    assert ran.code == 5
    files = ["base.safetensors", *(f"masks/{name}.safetensors" for name in NAMES[1:])]
    assert [one["file"] for one in ran.json["problems"]] == files
    assert ran.json["tasks"] == 1


def test_a_task_of_another_base_is_told_apart_from_damage(bank: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    answer("init-base", "--bank", other, *SMALL, "--seed", 1)
    (other / "masks").mkdir(exist_ok=True)
    shutil.copy(bank / "masks" / "mnist-perm-0.safetensors", other / "masks")
    verified = run("verify", "--bank", other, "--json")
    assert verified.code == 12
    assert [one["exit"] for one in verified.json["problems"]] == [12]
    bases = [Bank.open(path).record.base_sha256[:16] for path in (bank, other)]
    for command in ("stats", "tasks"):
        error = run(command, "--bank", other, "--json").error
        assert (error["exit"], error["code"]) == (12, "other-base")
        assert "mnist-perm-0.safetensors" in error["message"]
        assert all(base in error["message"] for base in bases)
    flip_bit(other / "base.safetensors", -1)
    assert run("verify", "--bank", other).code == 5


def test_what_a_killed_learner_left_is_a_hint(own_bank: Path) -> None:
    (own_bank / "masks" / ".mnist-perm-9.safetensors.1.ab.tmp").write_bytes(b"half")
    (own_bank / "work" / "mnist-perm-9").mkdir(parents=True)
    (own_bank / "work" / "mnist-perm-9" / "claim").touch()
    document = answer("verify", "--bank", own_bank)
    assert document["ok"]
    cleaned = [hint for hint in document["hints"] if "supsup tasks clean" in hint]
    assert sum("mnist-perm-9" in hint for hint in cleaned) == 2
    assert len(answer("tasks", "--bank", own_bank)["tasks"]) == 4
