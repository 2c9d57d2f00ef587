"""Complete commands in hints with the user's bank."""

import re
import shlex
from collections.abc import Sequence

# Every command that has --bank; a test compares them with the commands there are.
BANK_COMMANDS = (
    "init-base",
    "learn-task",
    "learn-stream",
    "infer-task",
    "predict",
    "evaluate",
    "encode-hopfield",
    "stats",
    "tasks show",
    "tasks sign",
    "tasks remove",
    "tasks copy",
    "tasks export",
    "tasks clean",
    "tasks",
    "verify",
    "doctor",
)
_COMMAND = re.compile(rf"supsup (?:{'|'.join(BANK_COMMANDS)})(?![\w-])")
_SAYS_ENOUGH = re.compile(r"--(?:bank|help)(?![\w-])")


def keep_bank(hint: str, bank: str | None) -> str:
    """Add the bank to every command of a hint that lacks it, so that the hint can be typed.

    Args:
        hint: any text.
        bank: as the user gave it; None for the default, which needs no option.
    """
    if bank is None:
        return hint
    option = f" --bank {shlex.quote(bank)}"

    def spelled(command: re.Match[str]) -> str:
        rest = hint[command.end() :].partition("supsup ")[0]
        return command[0] if _SAYS_ENOUGH.search(rest) else command[0] + option

    return _COMMAND.sub(spelled, hint)


def bank_of(words: Sequence[str]) -> str | None:
    """Find the bank among the typed words; None if there is none."""
    bank = None
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == "--bank" and place + 1 < len(words):
            bank = words[place + 1]
        elif word.startswith("--bank="):
            bank = word.removeprefix("--bank=")
    return bank
