"""Seeded single-bit flips in files of real size: LeNet 300-100 with 500 outputs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.errors import BankError
from tests.support.commands import answer, learn


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    path = tmp_path_factory.mktemp("large") / "bank"
    answer("init-base", "--bank", path)
    learn(path, "mnist-split-0", steps=1)
    return Bank.open(path)


def read_task(bank: Bank) -> object:
    return bank.read_task("mnist-split-0")


@pytest.mark.parametrize("flips", [400, pytest.param(4000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("file", "read"),
    [("masks/mnist-split-0.safetensors", read_task), ("base.safetensors", Bank.base)],
)
def test_a_flipped_bit_is_refused_and_reported(
    file: str, read: Callable[[Bank], object], flips: int, large: Bank
) -> None:
    path: Path = large.path / file
    whole = path.read_bytes()
    read(large)
    bits = np.random.RandomState(0).choice(len(whole) * 8, flips, replace=False).tolist()
    for bit in bits:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(BankError, match=path.name) as caught:
            read(large)
        assert caught.value.exit_code == 5, bit
        assert [problem.file for problem in verify(large.path).problems] == [file], bit
    path.write_bytes(whole)
    assert verify(large.path).problems == ()
