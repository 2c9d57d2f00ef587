"""What `encode-hopfield` answers, and what is known of a recovery."""

from dataclasses import dataclass

from supsup_cli.workflows.results.common import SOME_INPUTS_FAILED, FailedInput


@dataclass(frozen=True)
class RecoveryReport:
    """One recovery of a mask from images.

    `images` is the number used; `converged` says whether the recovered mask is at rest in the
    matrices; `distance` counts the bits by which it differs from the mask of `task`, the nearest
    one. `exact` means no bit, `recovered` at most one in a hundred.
    """

    images: int
    steps: int
    converged: bool
    task: str
    distance: int
    exact: bool
    recovered: bool


@dataclass(frozen=True)
class CorruptedRecall:
    """Recall from a copy with a share `flipped` of its units flipped; `distance` in bits."""

    flipped: float
    distance: int
    exact: bool


@dataclass(frozen=True)
class RecalledTask:
    """One stored mask: `distance` in bits to where it comes to rest, starting from itself.

    With `--verify`: `energy` by layer, recalls from `corrupted` copies, and the recovery
    `from_data`, which should find this task.
    """

    task: str
    distance: int
    exact: bool
    energy: dict[str, float]
    corrupted: tuple[CorruptedRecall, ...]
    from_data: RecoveryReport | None


@dataclass(frozen=True)
class StoringLayer:
    """One matrix: `units` d, `capacity` in patterns by the rule, `load` patterns / units."""

    parameter: str
    units: int
    load: float
    capacity: int


@dataclass(frozen=True)
class EncodeResult:
    """Answer of `encode-hopfield`.

    `status`: `encoded` anew, `extended` by further tasks, or `exists`; `added` counts the patterns
    that this command added. `bytes` is the file's size, `mask_bytes` that of as many packed masks;
    from `pays_from` tasks on the file would be smaller than those.
    """

    status: str
    patterns: int
    added: int
    units: int
    bytes: int
    mask_bytes: int
    pays_from: int
    rule: str
    layers: tuple[StoringLayer, ...]
    recall: tuple[RecalledTask, ...]
    seconds: float
    failed: tuple[FailedInput, ...]

    @property
    def exit_code(self) -> int:
        """3 if some tasks' data could not be read."""
        return SOME_INPUTS_FAILED if self.failed else 0
