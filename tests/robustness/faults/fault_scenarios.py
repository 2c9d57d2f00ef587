"""Every command that changes a bank, and what it begins with."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from bank_format.bank import Bank
from bank_format.kinds.task_records import ParentRecord, TaskFacts
from bank_format.store.layout import HOPFIELD_FILE, SIGNATURES, SUFFIX
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.streams.learn_stream import learn_stream
from supsup_cli.workflows.streams.plan import StreamRequest
from tests.support.commands import flip_bit, run
from tests.support.stops import StopAfter

BASE = ("--arch", "mlp-600", "--input", "1x16x16", "--outputs", 40)
# A stream keeps sixteen bytes for each weight; with more weights there are too many cases.
SMALL_BASE = ("--arch", "mlp-8", "--input", "1x16x16", "--outputs", 20)
UNITS = ("--arch", "units-6", "--input", "1x16x16", "--outputs", 20)
LEARN = ("learn-task", "--steps", 2, "--batch-size", 4, "--device", "cpu")


@dataclass(frozen=True)
class Scenario:
    """A command that changes a bank.

    Attributes:
        words: the command, given the folder that its banks lie in.
        prepare: makes what it begins with.
        code: its exit code when nothing goes wrong; it is 0 when the work is done already.
        tidy: nothing that verify hints at is left.
    """

    words: Callable[[Path], tuple[object, ...]]
    prepare: Callable[[Path], None]
    code: int = 0
    tidy: bool = False


def _nothing(_: Path) -> None:
    pass


def _pictures(folder: Path) -> Path:
    noise = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for place in range(6):
            pixels = noise.integers(0, 255, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pets" / name / f"{place}.png")
    return folder / "pets"


def _bank_of_two(folder: Path, base: tuple[object, ...] = BASE) -> None:
    pets = _pictures(folder)
    for name in ("bank", "other"):
        assert run("init-base", "--bank", folder / name, *base).code == 0
    for bank, task in (("bank", "first"), ("bank", "second"), ("other", "third")):
        names = ("--bank", folder / bank, "--data", pets, "--name", task)
        assert run(*LEARN, *names, "--seed", len(task)).code == 0


def _bank_with_a_combination(folder: Path) -> None:
    """The other bank's third task, and a combination that needs it."""
    _bank_of_two(folder)
    other = Bank.open(folder / "other")
    third = other.read_task("third")
    parents = (ParentRecord("third", third.content_sha256),)
    known = {f.name: getattr(third.content, f.name) for f in fields(TaskFacts)}
    facts = TaskFacts(**(known | {"task": "mixed", "parents": parents, "signature": None}))
    coefficients = {p.name: np.array([1, 0], np.float32) for p in other.record.masked}
    other.add_combination(facts, coefficients, {}, third.provenance)


def _combination_and_parent(folder: Path) -> None:
    _bank_with_a_combination(folder)
    shutil.rmtree(folder / "bank")
    (folder / "other").rename(folder / "bank")


def _bank_without_signatures(folder: Path) -> None:
    pets = _pictures(folder)
    assert run("init-base", "--bank", folder / "bank", *SMALL_BASE).code == 0
    for task in ("first", "second", "third"):
        names = ("--bank", folder / "bank", "--data", pets, "--name", task, "--no-signature")
        assert run(*LEARN, *names).code == 0


def _banks_signed_later(folder: Path) -> None:
    """A task with a signature in its own file in each bank."""
    _bank_without_signatures(folder)
    assert run("tasks", "sign", "first", "third", "--bank", folder / "bank").code == 0
    shutil.copytree(folder / "bank", folder / "other")
    for bank, task in (("bank", "third"), ("other", "first")):
        assert run("tasks", "remove", task, "--yes", "--bank", folder / bank).code == 0


def _damaged_signature(folder: Path) -> None:
    _banks_signed_later(folder)
    flip_bit(folder / "bank" / SIGNATURES / f"first{SUFFIX}", 400)


def _half_a_bank(folder: Path) -> None:
    _bank_of_two(folder)
    (folder / "bank" / "bank.json").unlink()
    (folder / "bank" / ".bank.json.1.ab.tmp").write_bytes(b"{")


def _unfinished_work(folder: Path) -> None:
    _bank_of_two(folder)
    for task in ("left", "first"):
        (folder / "bank" / "work" / task).mkdir()
        (folder / "bank" / "work" / task / "claim").touch()
    (folder / "bank" / "work" / "left" / "state.safetensors").write_bytes(b"torn")
    for place in (".", "masks", "work/left"):
        temporary = folder / "bank" / place / ".x.4194305.0123456789abcdef.tmp"  # above any PID
        temporary.write_bytes(b"torn")
        os.utime(temporary, (0, 0))


def _small_bank(folder: Path) -> None:
    _bank_of_two(folder, SMALL_BASE)


def _bank_of_units(folder: Path) -> None:
    _bank_of_two(folder, UNITS)


def _attractors_of_one(folder: Path) -> None:
    """Attractors that hold the first task and lack the second."""
    _bank_of_units(folder)
    second = folder / "bank" / "masks" / "second.safetensors"
    aside = second.rename(folder / "second")
    assert run("encode-hopfield", "--bank", folder / "bank").code == 0
    aside.rename(second)


def _attractors_of_another_rule(folder: Path) -> None:
    _bank_of_units(folder)
    assert run("encode-hopfield", "--rule", "hebbian", "--bank", folder / "bank").code == 0


def _damaged_attractors(folder: Path) -> None:
    _attractors_of_one(folder)
    flip_bit(folder / "bank" / HOPFIELD_FILE, 400)


def _half_a_stream(folder: Path) -> None:
    """A stream that stopped after two of three batches: a state, and a part that will be stale."""
    _small_bank(folder)
    request = StreamRequest((str(folder / "pets"),), 3, "stream", 2500, 100, "loss", 4, 0, "cpu")
    with suppress(StoppedError):
        learn_stream(folder / "bank", request, Silent(), StopAfter(2))
    assert (folder / "bank" / "work" / "stream-0" / "state.safetensors").exists()


def _damage_that_can_be_mended(folder: Path) -> None:
    """The base is lost, and two task files have each other's name."""
    _bank_of_two(folder)
    (folder / "bank" / "base.safetensors").write_bytes(b"torn")
    masks = folder / "bank" / "masks"
    first, second = (masks / f"{name}.safetensors" for name in ("first", "second"))
    first.rename(masks / "x")
    second.rename(first)
    (masks / "x").rename(second)
    shutil.rmtree(folder / "bank" / "work")


def _damage_that_cannot(folder: Path) -> None:
    _bank_of_two(folder)
    flip_bit(folder / "bank" / "masks" / "first.safetensors", 900)


SCENARIOS = {
    "init-base": Scenario(lambda at: ("init-base", "--bank", at / "a" / "bank", *BASE), _nothing),
    "init-base again": Scenario(
        lambda at: ("init-base", "--bank", at / "bank", *BASE), _bank_of_two
    ),
    "init-base completing": Scenario(
        lambda at: ("init-base", "--bank", at / "bank", *BASE), _half_a_bank
    ),
    "learn-task": Scenario(
        lambda at: (*LEARN, "--bank", at / "bank", "--data", at / "pets", "--name", "new"),
        _bank_of_two,
    ),
    "learn-stream": Scenario(
        lambda at: (
            *("learn-stream", "--data", at / "pets", "--visit", 2, "--batch-size", 4),
            *("--device", "cpu", "--bank", at / "bank"),
        ),
        _small_bank,
    ),
    "learn-stream going on": Scenario(
        lambda at: (
            *("learn-stream", "--data", at / "pets", "--visit", 3, "--batch-size", 4),
            *("--device", "cpu", "--bank", at / "bank"),
        ),
        _half_a_stream,
    ),
    "encode-hopfield": Scenario(
        lambda at: ("encode-hopfield", "--bank", at / "bank"), _bank_of_units
    ),
    "encode-hopfield, a further task": Scenario(
        lambda at: ("encode-hopfield", "--bank", at / "bank"), _attractors_of_one
    ),
    "encode-hopfield, another rule": Scenario(
        lambda at: ("encode-hopfield", "--bank", at / "bank"), _attractors_of_another_rule
    ),
    "tasks remove": Scenario(
        lambda at: ("tasks", "remove", "first", "--yes", "--missing-ok", "--bank", at / "bank"),
        _bank_of_two,
    ),
    "tasks copy": Scenario(
        lambda at: ("tasks", "copy", "third", "--from", at / "other", "--bank", at / "bank"),
        _bank_of_two,
    ),
    "tasks copy --as": Scenario(
        lambda at: (
            *("tasks", "copy", "third", "--from", at / "other", "--as", "renamed"),
            *("--bank", at / "bank"),
        ),
        _bank_of_two,
    ),
    "tasks copy, with a parent": Scenario(
        lambda at: ("tasks", "copy", "mixed", "--from", at / "other", "--bank", at / "bank"),
        _bank_with_a_combination,
    ),
    "tasks remove, with a parent": Scenario(
        lambda at: (
            *("tasks", "remove", "third", "mixed", "--yes", "--missing-ok"),
            *("--bank", at / "bank"),
        ),
        _combination_and_parent,
    ),
    "tasks sign": Scenario(
        lambda at: ("tasks", "sign", "--device", "cpu", "--bank", at / "bank"),
        _bank_without_signatures,
    ),
    "tasks copy, with a signature": Scenario(
        lambda at: ("tasks", "copy", "third", "--from", at / "other", "--bank", at / "bank"),
        _banks_signed_later,
    ),
    "tasks remove, with a signature": Scenario(
        lambda at: ("tasks", "remove", "first", "--yes", "--missing-ok", "--bank", at / "bank"),
        _banks_signed_later,
        tidy=True,
    ),
    "verify --repair, of a signature": Scenario(
        lambda at: ("verify", "--repair", "--bank", at / "bank"), _damaged_signature
    ),
    "tasks export": Scenario(
        lambda at: ("tasks", "export", "--sealed", "first", at / "file", "--bank", at / "bank"),
        _bank_of_two,
    ),
    "tasks clean": Scenario(
        lambda at: ("tasks", "clean", "--yes", "--bank", at / "bank"), _unfinished_work, tidy=True
    ),
    "verify --repair": Scenario(
        lambda at: ("verify", "--repair", "--bank", at / "bank"), _damage_that_can_be_mended
    ),
    "verify --repair, of attractors": Scenario(
        lambda at: ("verify", "--repair", "--bank", at / "bank"), _damaged_attractors
    ),
    "verify --repair, with a loss": Scenario(
        lambda at: ("verify", "--repair", "--bank", at / "bank"), _damage_that_cannot, code=5
    ),
}
