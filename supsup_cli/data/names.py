"""The names that `--data` understands: named data and variants, their ranges, and folders."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from supsup_cli.choices import did_you_mean
from supsup_cli.errors import NoInputError, UsageError

MOST_NAMES = 100_000

_NUMBER = r"-?[0-9]{1,40}(?:\.[0-9]{1,6})?"
_VARIANT = re.compile(
    rf"([a-z]{{1,20}}[0-9]{{0,4}}-[a-z]{{1,20}})-({_NUMBER})(?:\.\.({_NUMBER})(?::({_NUMBER}))?)?",
    re.ASCII,
)
_TASK_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_LONGEST_SHOWN = 80  # characters of an unknown name in an error
_LIST_HINT = "supsup data list"


@dataclass(frozen=True, slots=True)
class Form:
    """Describe one form of names: its placeholder and the numbers it takes."""

    placeholder: str
    least: int
    most: int
    whole: bool


FORMS = {
    "mnist-perm": Form("mnist-perm-N", 0, 2**32 - 1, whole=True),
    "mnist-rot": Form("mnist-rot-DEGREES", -360, 360, whole=False),
    "mnist-split": Form("mnist-split-I", 0, 4, whole=True),
    "cifar10-split": Form("cifar10-split-I", 0, 4, whole=True),
    "cifar100-split": Form("cifar100-split-I", 0, 19, whole=True),
    "imagenet-split": Form("imagenet-split-I", 0, 99, whole=True),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """Name one data set: `form` is "mnist" or a key of `FORMS`, `number` its number."""

    form: str
    number: Decimal = Decimal(0)

    def __str__(self) -> str:
        """Spell the name in one canonical way, so that 007 and 7 are the same data."""
        return self.form if self.form == "mnist" else f"{self.form}-{_spell(self.number)}"


def resolve(data: str) -> Variant | Path:
    """Find what one `--data` value means: named data, or a folder's absolute path.

    A known name wins over a folder of that name in the current directory; `./NAME` is the folder.

    Raises:
        UsageError: the name is unknown, its number is out of range, or it is a range.
        NoInputError: the folder is missing.
    """
    variants = _variants(data)
    if variants is None:
        return _folder(data)
    if len(variants) != 1:
        raise UsageError(f"{data}: a range of {len(variants)} data sets, expected one of them")
    return variants[0]


def expand(names: Sequence[str]) -> list[str]:
    """Expand the ranges among `--data` values; every name is checked before any work begins.

    `mnist-perm-0..9` stands for ten names, `mnist-rot-0..350:10` for 36 (both ends included).

    Returns:
        canonical names, in order; folders as they were given.

    Raises:
        UsageError: a name is unknown, given twice, or there are more than 100,000.
        NoInputError: a folder is missing.
    """
    expanded: list[str] = []
    seen: set[str] = set()
    for data in names:
        variants = _variants(data)
        keys = [str(_folder(data))] if variants is None else [str(one) for one in variants]
        for key in keys:
            if key in seen:
                raise UsageError(f"{data}: {key} is given twice, expected once")
            seen.add(key)
        expanded += [data] if variants is None else keys
        if len(expanded) > MOST_NAMES:
            raise UsageError(f"{data}: more than {MOST_NAMES:,} data sets in one command")
    return expanded


def task_name(data: str) -> str:
    """Derive the task's name: the canonical data name, or the folder's name made valid.

    Raises:
        UsageError: the folder's name gives no valid task name, or the data is unknown.
        NoInputError: the folder is missing.
    """
    meaning = resolve(data)
    if isinstance(meaning, Variant):
        return str(meaning)
    name = re.sub(r"[^a-z0-9._-]", "-", meaning.name.lower())
    if not _TASK_NAME.fullmatch(name):
        raise UsageError(
            f"{data}: the folder's name gives the task name {name!r}, expected 1 to 64 of "
            "a-z 0-9 . _ - beginning with a letter or digit",
            hint=f"supsup learn-task --data {shlex.quote(data)} --name NAME",
        )
    return name


def _folder(data: str) -> Path:
    separators = {os.sep, os.altsep or os.sep}
    looks_like_path = data.startswith((".", "~")) or any(mark in data for mark in separators)
    try:
        # not resolve(), because a link keeps the name that the user gave it
        folder = Path(os.path.abspath(Path(data).expanduser()))  # noqa: PTH100
        is_folder = bool(data) and folder.is_dir()
        found = "a file" if not is_folder and folder.exists() else "nothing there"
    except (OSError, RuntimeError, ValueError) as error:
        raise NoInputError(f"{data[:80]}: not a usable path ({error})"[:200]) from error
    if not is_folder:
        if not looks_like_path:
            _refuse_unknown(data)
        raise NoInputError(f"{data}: {found}, expected a folder of class folders", hint=_LIST_HINT)
    return folder


def _refuse_unknown(data: str) -> NoReturn:
    data = data if len(data) <= _LONGEST_SHOWN else f"{data[:_LONGEST_SHOWN]}…"
    forms = ["mnist", *(form.placeholder for form in FORMS.values())]
    guess = did_you_mean(data, forms)
    raise UsageError(
        f"{data!r}: unknown data; {guess}expected {', '.join(forms)}, a range (mnist-perm-0..9) "
        "or a folder",
        hint=_LIST_HINT,
    )


def _variants(data: str) -> list[Variant] | None:
    """Parse a name or a range; None if it is neither."""
    if data == "mnist":
        return [Variant("mnist")]
    match = _VARIANT.fullmatch(data)
    if match is None or match[1] not in FORMS:
        return None
    form = FORMS[match[1]]
    first = _number(data, form, match[2])
    if match[3] is None:
        return [Variant(match[1], first)]
    last = _number(data, form, match[3])
    step = Decimal(match[4] or 1)
    if last < first or step <= 0 or (form.whole and step != int(step)):
        raise UsageError(
            f"{data}: from {first} to {last} by {step}, expected an ascending range A..B or "
            f"A..B:STEP{' of whole numbers' if form.whole else ''}",
            hint=_LIST_HINT,
        )
    count = int((last - first) / step) + 1
    if count > MOST_NAMES:
        raise UsageError(f"{data}: {count:,} data sets, expected at most {MOST_NAMES:,}")
    return [Variant(match[1], first + step * place) for place in range(count)]


def _number(data: str, form: Form, text: str) -> Decimal:
    number = Decimal(text)
    if (form.whole and "." in text) or not form.least <= number <= form.most:
        kind = "a whole number" if form.whole else "a number"
        raise UsageError(
            f"{data}: {text} in {form.placeholder}, expected {kind} "
            f"from {form.least} to {form.most}",
            hint=_LIST_HINT,
        )
    return number


def _spell(number: Decimal) -> str:
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return str(int(text)) if "." not in text else re.sub(r"^(-?)0+(?=[0-9])", r"\1", text)
