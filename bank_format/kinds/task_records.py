"""The content of a task file, which its digest covers, and provenance, which it does not."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bank_format.encoding.codec import DroppedCoding, Encoding
from bank_format.encoding.strict_json import OMITTED
from bank_format.kinds.task_arrays import ArrayRecord, check_array_names
from bank_format.names import check_digest, check_parameter_name, check_text, is_task_name

__all__ = [
    "AccuracyRecord",
    "CalibrationRecord",
    "ClassRecord",
    "DataRecord",
    "ParentRecord",
    "Provenance",
    "RecipeRecord",
    "SignatureRecord",
    "TaskContent",
    "TaskFacts",
    "check_arrays",
    "check_statistics",
    "check_version",
    "needed_version",
]

_CREATED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """A class's name and its output."""

    name: str
    output: int

    def __post_init__(self) -> None:
        check_text(self.name)
        if self.output < 0:
            raise ValueError(f"output {self.output} found, expected at least 0")


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What the task was learned from: a name, and a SHA-256 that is equal for equal data."""

    name: str
    digest: str

    def __post_init__(self) -> None:
        check_text(self.name)
        check_digest(self.digest)


@dataclass(frozen=True, slots=True)
class RecipeRecord:
    """How it was learned: a recipe's name, and the settings it ran with."""

    name: str
    settings: Mapping[str, int | float | str]

    def __post_init__(self) -> None:
        check_text(self.name)
        for key, value in self.settings.items():
            check_text(key)
            if isinstance(value, str):
                check_text(value)


@dataclass(frozen=True, slots=True)
class AccuracyRecord:
    """Number of test images classified rightly with the task given, and of all."""

    correct: int
    images: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.images or self.images < 1:
            raise ValueError(f"{self.correct} correct of {self.images} images found")


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """Quantiles of the task's own scores on its calibration share.

    Args:
        objective: which score.
        images: how many images it was measured on.
        levels: ascending, each in 0..1.
        values: the score at each level, in the objective's unit; ascending.
    """

    objective: str
    images: int
    levels: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        check_text(self.objective)
        if self.images < 1 or not 1 <= len(self.levels) == len(self.values):
            raise ValueError(
                f"{len(self.levels)} levels, {len(self.values)} values of {self.images} images "
                "found, expected as many levels as values and at least one of each"
            )
        if not all(map(math.isfinite, (*self.levels, *self.values))):
            raise ValueError("infinity or NaN found, expected finite levels and values")
        if self.levels[0] < 0 or self.levels[-1] > 1:
            raise ValueError(
                f"levels {self.levels[0]}..{self.levels[-1]} found, expected within 0..1"
            )
        if list(self.levels) != sorted(set(self.levels)) or list(self.values) != sorted(
            self.values
        ):
            raise ValueError("levels or values found out of order, expected ascending")


@dataclass(frozen=True, slots=True)
class ParentRecord:
    """An earlier task that learning started from, with the digest of its content."""

    task: str
    content_sha256: str

    def __post_init__(self) -> None:
        _check_task(self.task)
        check_digest(self.content_sha256)


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """How a task's signature was made, see *Signatures* in FORMAT.md.

    Args:
        model: how to read its arrays; a reader that does not know it ignores the signature.
        images: number of training images it was made from.
    """

    model: str
    images: int

    def __post_init__(self) -> None:
        check_text(self.model)
        if self.images < 1:
            raise ValueError(f"signature of {self.images} images found, expected at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What the learner knows about a task; its masks decide the rest of the content.

    Args:
        task: its name.
        classes: names and outputs, the outputs distinct.
        data: what it was learned from.
        recipe: how.
        seed: of the learning, 0 <= seed < 2**63.
        steps: optimiser steps taken.
        accuracy: on the test split with the task given; None if there was none.
        calibration: for novelty; None if there was none.
        parents: the tasks that learning started from.
        signature: how its signature was made; None if it has none.
    """

    task: str
    classes: tuple[ClassRecord, ...]
    data: DataRecord
    recipe: RecipeRecord
    seed: int
    steps: int
    accuracy: AccuracyRecord | None = None
    calibration: CalibrationRecord | None = None
    parents: tuple[ParentRecord, ...] = ()
    signature: SignatureRecord | None = field(default=None, metadata=OMITTED)

    def __post_init__(self) -> None:
        _check_task(self.task)
        if not self.classes or len({c.output for c in self.classes}) != len(self.classes):
            raise ValueError(
                f"outputs {[c.output for c in self.classes]} found, expected one for each class"
            )
        if len({c.name for c in self.classes}) != len(self.classes):
            raise ValueError("two classes of one name found, expected distinct names")
        if not 0 <= self.seed < 2**63 or self.steps < 0:
            raise ValueError(
                f"seed {self.seed}, steps {self.steps} found, "
                "expected 0 <= seed < 2**63 and steps from 0 on"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContent(TaskFacts):
    """Everything that content_sha256 covers besides the tensors.

    Args:
        base_sha256: the base network the masks belong to.
        encoding: how each masked parameter's bits are stored.
        statistics: names of the float32 tensors kept with the task, sorted.
        arrays: its other arrays by name: its head, its signature.
        version: the lowest that can express all this, see `needed_version`.
    """

    kind: Literal["mask"] = "mask"
    version: Literal[1, 2] = 1
    base_sha256: str
    encoding: Mapping[str, Encoding]
    statistics: tuple[str, ...] = ()
    arrays: Mapping[str, ArrayRecord] = field(default_factory=dict, metadata=OMITTED)

    def __post_init__(self) -> None:
        # A slotted dataclass is a copy of its class, so the short form of super() does not work.
        TaskFacts.__post_init__(self)
        check_digest(self.base_sha256)
        for name in self.encoding:
            check_parameter_name(name)
        check_statistics(self.statistics)
        check_arrays(self.arrays, self.signature)
        check_version(self.version, needed_version(self.encoding, self.arrays))


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where and when a task was learned; only this differs if equal content is learned twice.

    Args:
        created: UTC, as 2026-01-31T12:00:00.000000Z.
        seconds: time that learning took.
        machine: its name or kind.
        versions: of the programs that took part.
        source: where the data were, such as a folder; "" for named data.
    """

    created: str
    seconds: float
    machine: str
    versions: Mapping[str, str]
    source: str = ""

    def __post_init__(self) -> None:
        if not _CREATED.fullmatch(self.created):
            raise ValueError(
                f"created {self.created[:80]!r} found, expected as 2026-01-31T12:00:00.000000Z"
            )
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds {self.seconds} found, expected a finite number from 0 on")
        for text in (self.machine, self.source, *self.versions, *self.versions.values()):
            check_text(text)


def needed_version(
    encoding: Mapping[str, Encoding], arrays: Mapping[str, ArrayRecord]
) -> Literal[1, 2]:
    """Return the lowest version of the kind `mask` that has these codings and arrays."""
    dropped = any(isinstance(one, DroppedCoding) for one in encoding.values())
    return 2 if arrays or dropped else 1


def check_version(version: int, needed: int) -> None:
    """Refuse a version that is not the lowest one for a file's content.

    Raises:
        ValueError: it is not.
    """
    if version != needed:
        raise ValueError(f"version {version} found, expected {needed}, the lowest")


def check_arrays(arrays: Mapping[str, ArrayRecord], signature: SignatureRecord | None) -> None:
    """Refuse impossible names of arrays, a signature without arrays, and arrays without one.

    Raises:
        ValueError: there is one of these.
    """
    check_array_names(arrays)
    if any(name.startswith("signature/") for name in arrays) != (signature is not None):
        raise ValueError("a signature found without its arrays, or arrays of one without it")


def check_statistics(names: tuple[str, ...]) -> None:
    """Refuse names of statistics that are invalid, unsorted or given twice.

    Raises:
        ValueError: they are.
    """
    for name in names:
        check_parameter_name(name)
    if list(names) != sorted(set(names)):
        raise ValueError(f"statistics {list(names)} found, expected sorted and distinct")


def _check_task(name: str) -> None:
    if not is_task_name(name):
        raise ValueError(f"task name {name[:80]!r} found, expected [a-z0-9][a-z0-9._-]{{0,63}}")
