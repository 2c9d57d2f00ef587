import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.encoding import bits
from bank_format.errors import (
    NameTakenError,
    NoSuchTaskError,
)
from tests.support.banks import add, create, masks

NAMES = st.sampled_from(["a", "b.1", "c-2"])


class BankAgainstDict(RuleBasedStateMachine):
    """A bank behaves as a dict from names to (seed, density), across processes and copies."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.bank = create(Path(self.folder.name) / "bank")
        self.other = create(Path(self.folder.name) / "other")
        self.model: dict[str, tuple[int, float]] = {}
        self.other_model: dict[str, tuple[int, float]] = {}

    @rule(name=NAMES, seed=st.integers(0, 5), density=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    def add(self, name: str, seed: int, density: float) -> None:
        if name in self.model:
            with pytest.raises(NameTakenError):
                add(self.bank, name, seed, density)
        else:
            add(self.bank, name, seed, density)
            self.model[name] = (seed, density)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.model:
            self.bank.remove_task(name)
            del self.model[name]
        else:
            with pytest.raises(NoSuchTaskError):
                self.bank.remove_task(name)

    @rule(name=NAMES, as_name=st.none() | NAMES)
    def copy(self, name: str, as_name: str | None) -> None:
        if name not in self.other_model:
            with pytest.raises(NoSuchTaskError):
                self.bank.copy_task(name, self.other, as_name)
        elif (as_name or name) in self.model:
            with pytest.raises(NameTakenError):
                self.bank.copy_task(name, self.other, as_name)
        else:
            self.bank.copy_task(name, self.other, as_name)
            self.model[as_name or name] = self.other_model[name]

    @rule()
    def open_again(self) -> None:
        again = Bank.open(self.bank.path)
        assert again == self.bank
        self.bank = again

    @rule()
    def swap_banks(self) -> None:
        self.bank, self.other = self.other, self.bank
        self.model, self.other_model = self.other_model, self.model

    @invariant()
    def the_bank_holds_what_the_dict_holds(self) -> None:
        assert self.bank.tasks() == sorted(self.model)
        stack = self.bank.read_tasks()[1]
        for row, (_, kept) in zip(stack, sorted(self.model.items()), strict=True):
            packed = [bits.pack(mask) for mask in masks(self.bank, *kept).values()]
            assert np.array_equal(row, np.concatenate(packed))
        report = verify(self.bank.path)
        assert (report.problems, report.hints) == ((), ())

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestBankAgainstDict = BankAgainstDict.TestCase
TestBankAgainstDict.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
