"""What commands answer over a damaged bank, and what `verify --repair` does with it."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.commands import ROOT, answer, flip_bit, run

DAMAGED = Path("masks") / "mnist-split-3.safetensors"


def flip(bank: Path) -> None:
    flip_bit(bank / DAMAGED, 1000)


def truncate(bank: Path) -> None:
    path = bank / DAMAGED
    path.write_bytes(path.read_bytes()[:-1])


def zero(bank: Path) -> None:
    path = bank / DAMAGED
    path.write_bytes(bytes(path.stat().st_size))


def extend(bank: Path) -> None:
    path = bank / DAMAGED
    path.write_bytes(path.read_bytes() + b"\0")


def exchange(bank: Path) -> None:
    one, other = (bank / "masks" / f"mnist-{task}.safetensors" for task in ("split-3", "perm-0"))
    parked = one.rename(bank / "parked")
    other.rename(one)
    parked.rename(other)


def duplicate(bank: Path) -> None:
    masks_of = bank / "masks"
    data = (masks_of / "mnist-perm-0.safetensors").read_bytes()
    (masks_of / "mnist-split-3.safetensors").write_bytes(data)


def move_in_from_another_bank(bank: Path) -> None:
    golden = ROOT / "tests" / "golden" / "bank" / "masks" / "mnist-split-3.safetensors"
    (bank / DAMAGED).write_bytes(golden.read_bytes())


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (flip, 5),
        (truncate, 5),
        (zero, 5),
        (extend, 5),
        (exchange, 5),
        (duplicate, 5),
        (move_in_from_another_bank, 12),
    ],
)
def test_commands_answer_damage_with_its_code_and_the_files_name(
    own_bank: Path, images: Path, damage: Callable[[Path], None], code: int
) -> None:
    damage(own_bank)
    path = own_bank / DAMAGED
    asked = ("predict", "--bank", own_bank, images / "split-3")
    ran = run(*asked)  # the other tasks still answer
    assert ran.code == code
    assert "split-3/6/" in ran.out
    assert "Traceback" not in ran.err
    assert ".safetensors" in ran.err
    shown = ("tasks", "show", "mnist-split-3", "--bank", own_bank)
    for words in ((*asked, "--task", "mnist-split-3"), shown):
        ran = run(*words)
        assert (ran.code, ran.out) == (code, "")
        assert ran.err.count("\n") == 2
        assert "Traceback" not in ran.err
        assert ".safetensors" in ran.err
    verified = run("verify", "--bank", own_bank, "--json")
    assert verified.code == code
    assert str(path) in "".join(one["message"] for one in verified.json["problems"])
    assert run("predict", "--bank", own_bank, "--task", "mnist-perm-1", images / "perm-0").code == 0


def test_a_bank_without_its_base_or_record_answers_nothing(own_bank: Path, images: Path) -> None:
    asked = ("predict", "--bank", own_bank, images / "split-3")
    (own_bank / "base.safetensors").unlink()
    assert [run(*words).code for words in (asked, ("verify", "--bank", own_bank))] == [5, 5]
    (own_bank / "bank.json").unlink()
    assert [run(*words).code for words in (asked, ("verify", "--bank", own_bank))] == [10, 5]


def test_repair_tells_what_it_would_do_then_does_it(own_bank: Path, images: Path) -> None:
    (own_bank / "work").mkdir(exist_ok=True)
    flip(own_bank)
    flip_bit(own_bank / "base.safetensors", -1)
    base = f"quarantine/base-{tag_of(own_bank / 'base.safetensors')}.safetensors"
    task = f"quarantine/masks-mnist-split-3-{tag_of(own_bank / DAMAGED)}.safetensors"
    planned = run("verify", "--bank", own_bank, "--repair", "--dry-run")
    assert planned.code == 5
    assert f"would be quarantined: base.safetensors to {base}\n" in planned.out
    assert f"would be quarantined: {DAMAGED} to {task}\n" in planned.out
    assert "would be regenerated: base.safetensors\n" in planned.out
    assert not (own_bank / "quarantine").exists()
    ran = run("verify", "--bank", own_bank, "--repair", "--json")
    assert ran.code == 5
    assert (ran.json["ok"], ran.json["tasks"], ran.json["dry_run"]) == (False, 3, False)
    assert [(one["file"], one["action"], one["to"]) for one in ran.json["repairs"]] == [
        ("base.safetensors", "quarantined", base),
        ("base.safetensors", "regenerated", "base.safetensors"),
        (str(DAMAGED), "quarantined", task),
    ]
    (problem,) = ran.json["problems"]
    assert problem.keys() == {"file", "message", "exit", "invariant", "hint"}
    assert (problem["file"], problem["exit"], problem["invariant"]) == (str(DAMAGED), 5, "I2")
    assert "seal" in problem["message"]
    again = run("verify", "--bank", own_bank)
    assert (again.code, again.out.splitlines()[-1]) == (0, "3 whole tasks; the bank is whole")
    assert f"ls -l {own_bank}/quarantine" in again.out
    assert run("predict", "--bank", own_bank, images / "perm-0").code == 0
    assert run("init-base", "--bank", own_bank, "--arch", "mlp-16-16", "--outputs", 100).code == 0


def test_repair_without_loss_answers_0(own_bank: Path) -> None:
    exchange(own_bank)
    (own_bank / "base.safetensors").unlink()
    document = answer("verify", "--bank", own_bank, "--repair")
    assert (document["tasks"], document["problems"], document["hints"]) == (4, [], [])
    done = {one["file"]: one["action"] for one in document["repairs"]}
    assert done["base.safetensors"] == "regenerated"
    assert done[str(DAMAGED)] == "renamed"
    assert answer("verify", "--bank", own_bank, "--repair")["repairs"] == []


def test_a_dry_run_of_no_repair_is_refused(own_bank: Path) -> None:
    assert run("verify", "--bank", own_bank, "--dry-run").code == 2


def test_text_cites_the_invariant_and_the_next_command_once(own_bank: Path) -> None:
    for file in (own_bank / "masks").iterdir():
        flip_bit(file, -1)
    out = run("verify", "--bank", own_bank).out
    assert out.count("problem: ") == out.count(" (I2)\n") == 4
    assert out.count(f"hint: supsup verify --repair --bank {own_bank}\n") == 1
    assert out.endswith("0 whole tasks; problems: 4\n")


def tag_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]
