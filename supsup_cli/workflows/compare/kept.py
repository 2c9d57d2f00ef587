"""What `compare --keep` writes: a sealed file for each task that a method has learned.

    FOLDER/comparison.json              the request; another comparison needs another folder
    FOLDER/METHOD.rates.json            the rates that were chosen, with their trials
    FOLDER/seed-S/METHOD/task-NNNN.safetensors
                                        what the task added: its numbers, shared ones that it
                                        changed, the row of accuracies, the seconds it took
    FOLDER/seed-S/supsup/bank/          our own method's bank

Each file appears whole or not at all. A stopped comparison continues after the last of them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bank_format.disk import files
from bank_format.encoding.canonical_json import Json, canonical, parse_canonical
from bank_format.encoding.sealed import seal, unseal
from bank_format.errors import DamagedError, NameTakenError
from bank_format.names import shortened
from supsup_cli.errors import UsageError
from supsup_cli.workflows.compare.rates import ChosenRates

_COMPARISON = "comparison.json"
_MOST_JSON, _MOST_TASK = 1 << 24, 1 << 36  # bytes
_PLAN_HINT = "choose another folder, or ask for what it holds"
_DAMAGE_HINT = "remove the file: its content is made again"

Row = dict[str, list[float | None]]


@dataclass(frozen=True)
class LearnedStep:
    """The results of one task.

    Attributes:
        arrays: of the system, see `System.last`.
        row: scenario → accuracy on each task so far, and on the next one if the method can answer
            it.
        seconds: time that learning took.
        bytes: kept for all tasks so far.
    """

    arrays: Mapping[str, NDArray[np.generic]]
    row: Row
    seconds: float
    bytes: int


class Keeping:
    """The folder of one comparison.

    Args:
        folder: where the files are.
        plan: everything that decides the results.

    Raises:
        NameTakenError: it holds another comparison.
        UsageError: it holds something else.
        StorageError, DamagedError: it cannot be read or written.
    """

    def __init__(self, folder: Path, plan: dict[str, Json]) -> None:
        self.folder = folder
        files.make_folder(folder)
        held = _read_json(folder / _COMPARISON)
        if held is None:
            if files.list_names(folder):
                raise UsageError(
                    f"--keep {folder}: not empty and no comparison, expected an empty folder",
                    hint="choose another folder",
                )
            files.replace(folder / _COMPARISON, canonical(plan))
        elif held != plan:
            raise NameTakenError(
                f"--keep {folder}: holds a comparison with {_difference(held, plan)}",
                hint=_PLAN_HINT,
            )

    def rates(self, method: str) -> ChosenRates | None:
        """Read the rates that were chosen; None if there are none."""
        path = self.folder / f"{method}.rates.json"
        held: Any = _read_json(path)
        if held is None:
            return None
        with _expected(path):
            trials = tuple((first, later, score) for first, later, score in held["trials"])
            return ChosenRates(held["first"], held["later"], trials, held["at_edge"])

    def keep_rates(self, method: str, chosen: ChosenRates) -> None:
        """Write the rates that were chosen."""
        text = json.loads(json.dumps(asdict(chosen)))
        files.replace(self.folder / f"{method}.rates.json", canonical(text))

    def step(self, seed: int, method: str, place: int) -> LearnedStep | None:
        """Read the results of a task; None if it was not learned."""
        path = self._path(seed, method, place)
        try:
            data = files.read_bytes(path, _MOST_TASK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        arrays, metadata = unseal(data, str(path))
        told: Any = metadata
        with _expected(path):
            return LearnedStep(arrays, told["row"], told["seconds"], told["bytes"])

    def keep_step(self, seed: int, method: str, place: int, step: LearnedStep) -> None:
        """Write the results of a task."""
        row: Json = {scenario: list(shares) for scenario, shares in step.row.items()}
        told: Json = {"row": row, "seconds": step.seconds, "bytes": step.bytes}
        path = self._path(seed, method, place)
        files.make_folder(path.parent)
        files.replace(path, seal(step.arrays, told))

    def _path(self, seed: int, method: str, place: int) -> Path:
        return self.folder / f"seed-{seed}" / method / f"task-{place:04d}.safetensors"


def _read_json(path: Path) -> Json:
    try:
        return parse_canonical(files.read_bytes(path, _MOST_JSON))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(f"{path}: {error}", hint=_DAMAGE_HINT) from error


@contextmanager
def _expected(path: Path) -> Iterator[None]:
    """Report a file that `Keeping` cannot have written."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{path}: not what compare writes", hint=_DAMAGE_HINT) from error


def _difference(held: Json, plan: dict[str, Json]) -> str:
    for name, value in plan.items():
        found = held.get(name) if isinstance(held, dict) else None
        if found != value:
            here, asked = (shortened(json.dumps(one), 60) for one in (found, value))
            return f"{name} {here}, asked for {asked}"
    return "more settings than this"
