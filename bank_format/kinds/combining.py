"""A combination's masks: a vote of its parents'.

A layer's mask keeps a weight where the parents' votes, each +1 for kept and −1 for not, weighed by
the layer's coefficients, exceed the layer's bias. So a few hundred bytes stand for a mask, and
whoever reads the task gets an ordinary mask.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.bits import pack, unpack
from bank_format.errors import BankError, DamagedError, NoSuchTaskError, OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.combination import Combination
from bank_format.kinds.mask import Task
from bank_format.kinds.task_records import ParentRecord

__all__ = ["combined_masks", "read_combination"]


def combined_masks(
    record: BankRecord,
    coefficients: Mapping[str, NDArray[np.float32]],
    parents: Sequence[Mapping[str, NDArray[np.uint8]]],
) -> dict[str, NDArray[np.uint8]]:
    """Combine masks: kept where Σₖ aₖ (2 Mₖ − 1) > b, summed in binary64 in the parents' order.

    Args:
        record: of the bank.
        coefficients: for each masked parameter (K + 1,) float32: a₁ … a_K, then b.
        parents: K packed masks, as in `Task.masks`.

    Returns:
        For each masked parameter (ceil(n / 8),) uint8, packed, in the record's order.
    """
    masks = {}
    for parameter in record.masked:
        *weights, bias = coefficients[parameter.name].astype(np.float64).tolist()
        votes = np.zeros(parameter.count, dtype=np.float64)
        for weight, parent in zip(weights, parents, strict=True):
            kept = unpack(parent[parameter.name], parameter.count)
            votes += np.where(kept, weight, -weight)
        masks[parameter.name] = pack(votes > bias)
    return masks


def read_combination(
    stated: Combination, record: BankRecord, name: str, read_parent: Callable[[str], Task]
) -> Task:
    """Make the task that a combination's file stands for, of its parents' masks.

    Args:
        stated: what the file says.
        record: of the bank.
        name: the file's name, for messages.
        read_parent: reads a task of the same bank that has masks of its own.

    Raises:
        DamagedError: a parent is missing, damaged or not the one combined; names both.
        NewerFormatError, StorageError: of a parent's file; names both.
    """
    parents = [_read_parent(one, stated, name, read_parent).masks for one in stated.content.parents]
    return Task(
        stated.content,
        stated.provenance,
        combined_masks(record, stated.coefficients, parents),
        stated.statistics,
        stated.content_sha256,
        sum(parameter.count for parameter in record.masked),
        stated.bytes_on_disk,
        stated.coefficients,
        stated.arrays,
    )


def _read_parent(
    parent: ParentRecord, child: Combination, name: str, read_parent: Callable[[str], Task]
) -> Task:
    whole = f"{name}: task {child.content.task!r} combines task {parent.task!r}"
    back = f"supsup tasks copy {parent.task} --from ANOTHER-BANK"
    try:
        found = read_parent(parent.task)
    except NoSuchTaskError as error:
        raise _unfit(f"{whole}, which is missing", back) from error
    except (DamagedError, OtherBaseError) as error:
        hint = f"{error.hint}; then {back}" if error.hint else back
        raise _unfit(f"{whole}: {error.message}", hint) from error
    except BankError as error:
        told = f"{whole}: {error.message}"
        raise type(error)(told, hint=error.hint, invariant=error.invariant) from error
    if found.content_sha256 != parent.content_sha256:
        raise _unfit(
            f"{whole}: content {found.content_sha256[:16]}… found, "
            f"expected {parent.content_sha256[:16]}…",
            f"remove the task that took its name, then {back}",
        )
    return found


def _unfit(message: str, hint: str) -> DamagedError:
    return DamagedError(message, hint=hint, invariant="I11")
