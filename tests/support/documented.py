"""What commands take and answer, as the guide must list it: options, and keys of documents."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

import typer

from supsup_cli.cli import app
from supsup_cli.workflows.results import (
    bank,
    compare,
    data,
    hopfield,
    inference,
    learning,
    streams,
    tasks,
)

ANSWERS: dict[str, type] = {
    "init-base": bank.InitResult,
    "learn-task": learning.LearnResult,
    "learn-stream": streams.StreamResult,
    "infer-task": inference.InferResult,
    "predict": inference.PredictResult,
    "evaluate": inference.EvaluateResult,
    "compare": compare.CompareResult,
    "encode-hopfield": hopfield.EncodeResult,
    "stats": bank.StatsResult,
    "tasks": tasks.TasksResult,
    "tasks show": tasks.ShowResult,
    "tasks sign": tasks.SignResult,
    "tasks remove": tasks.RemoveResult,
    "tasks copy": tasks.CopyResult,
    "tasks export": tasks.ExportResult,
    "tasks clean": tasks.CleanResult,
    "verify": bank.VerifyResult,
    "doctor": bank.DoctorResult,
    "data list": data.DataListResult,
    "data export": data.DataExportResult,
}


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its name."""
    command = command or typer.main.get_command(app)
    below = getattr(command, "commands", {})
    if name and (not below or command.invoke_without_command):
        yield name, command
    for short, one in below.items():
        yield from commands(one, f"{name} {short}".strip())


def options(command: Any) -> list[str]:
    """List a command's options, in every spelling, without --help."""
    spelled = [
        (one.secondary_opts or one.opts)[0]
        for one in command.params
        if one.param_type_name == "option"
    ]
    return [one for one in spelled if one != "--help"]


def keys_of(answer: type) -> str:
    """Write the keys of an answer as the guide does: `tasks: [{task, status}], mean: {…}`."""
    return _notation(answer)[1:-1]


def _notation(kind: Any) -> str:
    """Write a dataclass as {keys}, lists of them in brackets, and everything else as nothing."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        named = [(one.name, _notation(hints[one.name])) for one in dataclasses.fields(kind)]
        return "{" + ", ".join(f"{name}: {what}" if what else name for name, what in named) + "}"
    parts = [one for one in typing.get_args(kind) if one not in (type(None), ...)]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next((what for what in map(_notation, parts) if what), "")
    if typing.get_origin(kind) is tuple:
        within = _notation(parts[0])
        return f"[{within}]" if within else ""
    return ""
