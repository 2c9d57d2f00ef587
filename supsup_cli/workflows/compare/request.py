"""What `compare` is asked to do, checked before anything is read."""

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
        data: names and folders, one task each.
        methods: their names; none means all that are installed.
        base: the network, and the first seed.
        recipe: of our own method.
        steps: updates per task, for every method.
        batch_size: images per update.
        seeds: number of seeds, from the base's seed on.
        rates: "grid" chooses each method's rates, "fixed" uses its paper's.
        limit: random (seeded) test images of each task; None uses all.
        device: see `choose_device`.
        keep: folder for the results of each method, or None.
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
    """Choose the methods to compare: those named, or all installed ones in the order of `known`.

    Args:
        asked: as typed, separated by commas; none means all that are installed.
        known: name → "" if installed, else the command that installs it.

    Raises:
        UsageError: there is no such method, it is not installed, or no name was typed.
    """
    wanted = method_names(asked)
    if asked and not wanted:
        raise UsageError(
            f"--methods {','.join(asked)!r}: no name found, expected some of {', '.join(known)}",
            hint="leave --methods out for all that are installed",
        )
    for name in wanted:
        if name not in known:
            guess = did_you_mean(name, known)
            raise UsageError(
                f"--methods {name}: unknown method; {guess}expected {', '.join(known)}"
            )
        if known[name]:
            raise UsageError(f"--methods {name}: its library is not installed", hint=known[name])
    return list(dict.fromkeys(wanted)) or [name for name, lack in known.items() if not lack]


def method_names(asked: Sequence[str]) -> list[str]:
    """Split what was typed at commas; spaces around a name are no part of it."""
    names = (name.strip() for part in asked for name in part.split(","))
    return [name for name in names if name]


def check_numbers(request: CompareRequest) -> None:
    """Check `--rates` and `--limit`.

    Raises:
        UsageError: a value that cannot be used.
    """
    check_choice("--rates", request.rates, RATES)
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: expected at least 1")
