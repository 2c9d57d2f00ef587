"""Making a lost base again from what bank.json says of it."""

import shlex

from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import base_sha256, build_base
from bank_format.kinds.seeded import signed_constant_tensors

__all__ = ["can_regenerate", "init_command", "regenerate_base"]


def can_regenerate(record: BankRecord) -> bool:
    """Tell whether the seed alone decides the base, so that nothing of the lost file is needed."""
    return record.init == "signed-constant"


def regenerate_base(record: BankRecord) -> bytes:
    """Write base.safetensors again from the seed.

    Args:
        record: what bank.json says.

    Returns:
        The file's bytes, those that were lost.

    Raises:
        ValueError: the seed does not decide the base, or gives another than bank.json names.
    """
    if not can_regenerate(record):
        raise ValueError(f"a base of init {record.init!r} is not decided by its seed alone")
    tensors = signed_constant_tensors(record.seed, record.parameters)
    found = base_sha256(record.spec, tensors)
    if found != record.base_sha256:
        raise ValueError(
            f"seed {record.seed} gives base {found[:16]}…, expected {record.base_sha256[:16]}…"
        )
    return build_base(record.spec, tensors)


def init_command(record: BankRecord) -> str:
    """Spell the command that makes a bank of this record, but for its folder."""
    shape = "x".join(map(str, record.input.shape))
    init = "--weights FILE.safetensors" if record.init == "weights" else f"--init {record.init}"
    return (
        f"supsup init-base --arch {shlex.quote(record.arch)} --input {shape} "
        f"--outputs {record.outputs} --real-outputs {record.real_outputs} "
        f"{init} --seed {record.seed}"
    )
