"""A store that fails, waits, cuts replies short or is damaged: right answers, or a clear error."""

import random
from pathlib import Path
from typing import Any

import obstore
import pytest

from supsup_cli.stores.objects import memory
from tests.support.commands import answer, run
from tests.support.flaky_store import FlakyServer, upload

S3 = "s3://banks/some/bank"
PREDICT = ("predict", "--data", "mnist-perm-1", "--limit", 3)


def results(document: dict[str, Any]) -> Any:
    return {key: value for key, value in document.items() if key != "seconds"}


@pytest.mark.parametrize("trouble", ["fail", "cut", "flip"])
def test_what_goes_wrong_now_and_then_changes_no_answer(
    bank: Path, served: FlakyServer, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPSUP_CACHE_BYTES", "0")
    expected = results(answer("tasks", "--bank", bank))
    setattr(served.trouble, trouble, 0.3)
    for seed in range(4):
        served.trouble.draws = random.Random(seed)
        ran = run("tasks", "--bank", S3, "--json", "--quiet")
        assert ran.code in (0, 13), ran
        if ran.code == 0:
            assert results(ran.json) == expected
        else:
            assert S3 in ran.error["message"]


@pytest.mark.slow
def test_everything_at_once_over_many_commands(
    bank: Path, served: FlakyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPSUP_CACHE_BYTES", "0")
    expected = results(answer(*PREDICT, "--bank", bank))
    served.trouble.fail, served.trouble.cut, served.trouble.flip = 0.3, 0.2, 0.1
    served.trouble.seconds = 0.02
    codes = []
    for seed in range(20):
        served.trouble.draws = random.Random(seed)
        ran = run(*PREDICT, "--bank", S3, "--json", "--quiet")
        codes.append(ran.code)
        assert ran.code in (0, 13), ran
        if ran.code == 0:
            assert results(ran.json) == expected
    assert codes.count(0) >= 15


def test_a_store_that_always_fails_is_told_of(
    served: FlakyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supsup_cli.stores.objects._PAUSE", 0.001)
    monkeypatch.setattr("supsup_cli.stores.objects._RETRIES", 0)
    served.trouble.fail = 1.0
    ran = run("stats", "--bank", S3, "--json")
    assert (ran.code, ran.error["code"]) == (13, "storage")
    assert f"{S3}/bank.json" in ran.error["message"]
    assert "network" in ran.error["hint"]


def test_a_slow_store_is_waited_for(bank: Path, served: FlakyServer) -> None:
    served.trouble.seconds = 0.3
    assert results(answer("tasks", "--bank", S3)) == results(answer("tasks", "--bank", bank))


def test_damage_in_the_store_is_named(bank: Path, cache: Path) -> None:
    upload(bank, memory("damaged"), "bank")
    name = "bank/masks/mnist-perm-1.safetensors"
    data = bytearray((bank / "masks" / "mnist-perm-1.safetensors").read_bytes())
    data[500] ^= 1
    obstore.put(memory("damaged"), name, bytes(data))
    ran = run("verify", "--bank", "memory://damaged/bank", "--json")
    (problem,) = ran.json["problems"]
    assert (ran.code, problem["file"]) == (5, "masks/mnist-perm-1.safetensors")
    assert f"memory://damaged/{name}" in problem["message"]
    asked = run("tasks", "show", "mnist-perm-1", "--bank", "memory://damaged/bank", "--json")
    assert asked.code == 5
    assert f"memory://damaged/{name}" in asked.error["message"]
    # The list comes from the index, which knows the task by its seal.
    assert len(answer("tasks", "--bank", "memory://damaged/bank")["tasks"]) == 4


def test_verify_reads_the_store_and_not_the_cache(bank: Path, cache: Path) -> None:
    upload(bank, memory("spoilt"), "bank")
    answer("tasks", "show", "mnist-perm-1", "--bank", "memory://spoilt/bank")
    seal = (bank / "masks" / "mnist-perm-1.safetensors").read_bytes()[-32:]
    assert seal.hex() in {path.name for path in cache.iterdir()}
    name = "bank/masks/mnist-perm-1.safetensors"
    data = bytearray((bank / "masks" / "mnist-perm-1.safetensors").read_bytes())
    data[500] ^= 1  # the seal at the end is unchanged, and the cache knows it
    obstore.put(memory("spoilt"), name, bytes(data))
    assert run("verify", "--bank", "memory://spoilt/bank", "--json").code == 5
