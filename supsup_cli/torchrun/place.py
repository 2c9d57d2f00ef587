"""Find out which of torchrun's processes this one is, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_STARTED_BY_TORCHRUN = "TORCHELASTIC_RUN_ID"


@dataclass(frozen=True)
class Place:
    """A process among those of one command.

    Attributes:
        rank: its number, from 0; only rank 0 prints.
        count: number of processes.
        local_rank: its number on its machine, from 0.
    """

    rank: int
    count: int
    local_rank: int


def place(environment: Mapping[str, str] | None = None) -> Place | None:
    """Return this process's place among the ranks; None if torchrun did not start it.

    Args:
        environment: the variables; None for those of this process.
    """
    found = os.environ if environment is None else environment
    if _STARTED_BY_TORCHRUN not in found:
        return None
    try:
        rank, count, local = (int(found[key]) for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError):
        return None
    return Place(rank, count, local)
