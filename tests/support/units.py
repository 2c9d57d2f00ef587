"""A tiny bank whose masks choose units, and attractors written into it."""

from pathlib import Path

from bank_format.bank import Bank
from bank_format.store.attractors import write_attractors
from bank_format.store.layout import HOPFIELD_FILE
from tests.support.banks import add, attractors, create, units_spec


def units_bank(path: Path) -> Bank:
    """Make a bank of three tasks: cats, dogs, pets."""
    made = create(path, units_spec())
    for seed, name in enumerate(("cats", "dogs", "pets")):
        add(made, name, seed)
    return made


def written(bank: Bank) -> bytes:
    """Store all tasks of a bank as attractors; return the file."""
    write_attractors(bank.path, bank.record, attractors(bank.read_tasks()[0], bank.record))
    return (bank.path / HOPFIELD_FILE).read_bytes()
