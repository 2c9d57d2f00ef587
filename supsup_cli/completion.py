"""What a shell may complete: task names of the bank, names of data, an option's few words.

Nothing here raises: an error would land in the line that is being typed.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bank_format.disk.stores import Place

_MOST = 1000


def complete_words(known: Mapping[str, str]) -> Callable[[str], list[tuple[str, str]]]:
    """Make the completion of an option that takes one of a few words.

    Args:
        known: each word, and what it means; shells that show help show that.
    """

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(word, meaning) for word, meaning in known.items() if word.startswith(incomplete)]

    return complete


def complete_tasks(context: typer.Context, incomplete: str) -> list[str]:
    """List the bank's tasks that begin with what was typed."""
    try:
        bank = context.params.get("bank") or os.environ.get("SUPSUP_BANK") or "bank"
        return _tasks_of(bank, incomplete)
    except Exception:
        return []


def complete_source_tasks(context: typer.Context, incomplete: str) -> list[str]:
    """List the tasks of the bank after `--from` that begin with what was typed."""
    try:
        return _tasks_of(context.params["source"], incomplete)
    except Exception:
        return []


def complete_data(incomplete: str) -> list[str]:
    """List the names that `--data` understands, and folders, that begin with what was typed."""
    try:
        from supsup_cli.data.names import FORMS

        known = ["mnist"]
        for name, form in FORMS.items():
            few = form.most - form.least < 10
            numbers = range(form.least, form.most + 1) if few else (0,)
            known += [f"{name}-{number}" for number in numbers]
        parent, _, begun = incomplete.rpartition("/")
        with os.scandir(parent or ("/" if incomplete.startswith("/") else ".")) as entries:
            folders = sorted(
                f"{incomplete.removesuffix(begun)}{one.name}/"
                for one in entries
                if one.name.startswith(begun) and one.name[0] != "." and one.is_dir()
            )
        return [name for name in known if name.startswith(incomplete)] + folders[:_MOST]
    except Exception:
        return []


def _tasks_of(bank: "str | Place", incomplete: str) -> list[str]:
    from bank_format.bank import Bank
    from bank_format.disk.stores import StorePath

    place = bank if isinstance(bank, StorePath) else Path(bank)
    names = Bank.open(place).tasks()
    return [name for name in names if name.startswith(incomplete)][:_MOST]
