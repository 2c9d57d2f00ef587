"""What `compare` is asked for, checked before anything is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from supsup_cli.choices import RATES, check_choice, did_you_mean
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.errors import UsageError
from supsup_cli.workflows.bank.requests import BaseRequest


@dataclass(frozen=True)
class CompareRequest:
    """What to compare.

    Attributes:
        data: names and folders, a task each.
        methods: their names; none means all that are installed.
        base: the network, and the first seed.
        recipe: of our own method.
        steps: updates of every method for a task.
        batch_size: images of an update.
        seeds: how many, from the base's on.
        rates: "grid" chooses each method's, "fixed" takes its paper's.
        limit: test images of a task, a seeded choice; None takes all.
        device: see `choose_device`.
        keep: folder for what each method made, or None.
        csv: where to write the matrices, or None.
        plot: where to draw, or None.
        reading: where data lie.
    """

    data: Sequence[str]
    methods: Sequence[str]
    base: BaseRequest
    recipe: str = "default"
    steps: int = 1000
    batch_size: int = 128
    seeds: int = 1
    rates: str = "grid"
    limit: int | None = 1000
    device: str = "auto"
    keep: Path | None = None
    csv: Path | None = None
    plot: Path | None = None
    reading: Reading = DEFAULT


def chosen_methods(asked: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Settle which methods are compared, in the order of `known` unless asked for by name.

    Args:
        asked: as typed, parted at commas; none for all that are installed.
        known: every name → "", or the command that installs what it lacks.

    Raises:
        UsageError: there is no such method, or it is not installed.
    """
    wanted = [name for part in asked for name in part.split(",") if name]
    for name in wanted:
        if name not in known:
            guess = did_you_mean(name, known)
            raise UsageError(
                f"--methods {name}: unknown method; {guess}expected {', '.join(known)}"
            )
        if known[name]:
            raise UsageError(f"--methods {name}: its library is not installed", hint=known[name])
    return list(dict.fromkeys(wanted)) or [name for name, lack in known.items() if not lack]


def check_numbers(request: CompareRequest) -> None:
    """Check `--rates` and `--limit`.

    Raises:
        UsageError: a value that cannot be used.
    """
    check_choice("--rates", request.rates, RATES)
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: expected at least 1")
