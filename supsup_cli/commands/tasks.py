"""The bank's tasks: `tasks` lists them; `show`, `remove`, `copy`, `export` and `clean`."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from supsup_cli.commands.answering import Work, answer, answering
from supsup_cli.completion import complete_source_tasks, complete_tasks
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.options import (
    DEFAULT_BANK,
    BankOption,
    DataOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    DownloadOption,
    DryRunOption,
    JsonOption,
    MaxPixelsOption,
    QuietOption,
    ReadBankOption,
    YesOption,
    examples,
    usable_path,
    usable_place,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

app = typer.Typer()
group = typer.Typer(
    epilog=examples("supsup tasks", "supsup tasks show mnist-perm-0", "supsup tasks --json")
)
app.add_typer(group, name="tasks")

_TasksArgument = Annotated[
    list[str], typer.Argument(help="Names of tasks.", autocompletion=complete_tasks)
]


@group.callback(invoke_without_command=True)
def tasks(
    context: typer.Context,
    bank: ReadBankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """List the bank's tasks; its commands show, sign, remove, copy, export and clean."""
    command = context.invoked_subcommand
    if command is not None:
        _refuse_early_options(context, command)
        return

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.tasks import list as workflow

        return workflow.list_tasks(bank)

    answer(work, as_json=as_json, quiet=quiet)


@group.command(epilog=examples("supsup tasks show mnist-perm-0 mnist-perm-1"))
@answering
def show(
    names: _TasksArgument,
    bank: ReadBankOption = DEFAULT_BANK,
) -> Work:
    """Show all that is in task files: content, provenance, density, coding and bytes by layer."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.tasks import show as workflow

        return workflow.show_tasks(bank, names)

    return work


@group.command(epilog=examples("supsup tasks sign", "supsup tasks sign pets --data moved/pets"))
@answering
def sign(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tasks; default: all.", autocompletion=complete_tasks),
    ] = None,
    bank: BankOption = DEFAULT_BANK,
    data: DataOption = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
) -> Work:
    """Make signatures for tasks that have none, from the data they were learned from."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.tasks import sign as workflow

        reading = Reading(max_pixels, data_root, download)
        return workflow.sign_tasks(bank, names or (), data or (), device, reading, terminal)

    return work


@group.command(
    epilog=examples(
        "supsup tasks remove mnist-perm-1 --dry-run",
        "supsup tasks remove mnist-perm-1 --yes --missing-ok",
    )
)
@answering
def remove(
    names: _TasksArgument,
    bank: BankOption = DEFAULT_BANK,
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="Do not fail if a task is not there.")
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> Work:
    """Remove tasks for ever. Asks on a terminal; needs --yes elsewhere."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows.tasks import remove as workflow

        return workflow.remove_tasks(
            bank,
            names,
            missing_ok=missing_ok,
            dry_run=dry_run,
            confirm=_confirm(terminal, yes, "remove", names, bank),
            reporter=terminal,
        )

    return work


@group.command(
    epilog=examples(
        "supsup tasks copy mnist-perm-0 --from other.bank",
        "supsup tasks copy mnist-perm-0 --from other.bank --as twin",
    )
)
@answering
def copy(
    names: Annotated[
        list[str],
        typer.Argument(help="Tasks of the other bank.", autocompletion=complete_source_tasks),
    ],
    source: Annotated[
        Path,
        typer.Option(
            "--from", help="The bank to copy from.", metavar="PLACE", callback=usable_place
        ),
    ],
    bank: BankOption = DEFAULT_BANK,
    as_name: Annotated[
        str | None, typer.Option("--as", help="The task's name here.", metavar="NAME")
    ] = None,
    dry_run: DryRunOption = False,
) -> Work:
    """Copy tasks from another bank of the same base."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.tasks import copy as workflow

        return workflow.copy_tasks(bank, names, source, as_name=as_name, dry_run=dry_run)

    return work


@group.command(
    epilog=examples(
        "supsup tasks export mnist-perm-0 network.safetensors",
        "supsup tasks export mnist-perm-0 mnist-perm-0.safetensors --sealed",
    )
)
@answering
def export(
    name: Annotated[str, typer.Argument(help="The task.", autocompletion=complete_tasks)],
    file: Annotated[
        Path,
        typer.Argument(help="A file that is not there; .onnx for ONNX.", callback=usable_path),
    ],
    bank: BankOption = DEFAULT_BANK,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Write the task's own file, for another bank.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Work:
    """Write a task as a network of its own, safetensors or ONNX; never over another file."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows.tasks import export as workflow

        return workflow.export_task(bank, name, file, sealed=sealed, dry_run=dry_run)

    return work


@group.command(epilog=examples("supsup tasks clean --dry-run", "supsup tasks clean --yes"))
@answering
def clean(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tasks to clean up after; default: all, and temporary files."),
    ] = None,
    bank: BankOption = DEFAULT_BANK,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> Work:
    """Remove what stopped learners and killed commands left, but no task and nothing in use."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows.tasks import clean as workflow

        confirm = _confirm(terminal, yes, "clean", names or [], bank)
        return workflow.clean(bank, names or (), dry_run=dry_run, confirm=confirm)

    return work


def _refuse_early_options(context: typer.Context, command: str) -> None:
    """Refuse options of the list before a command's name, where they would do nothing."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"{parameter.opts[0]}: found before {command!r}, expected after it: "
                f"supsup tasks {command} {parameter.opts[0]}"
            )


def _confirm(
    terminal: Terminal, yes: bool, command: str, names: list[str], bank: Path
) -> Callable[[str], None]:
    words = ["supsup", "tasks", command, *names, "--bank", str(bank), "--yes"]

    def ask(question: str) -> None:
        if not yes:
            terminal.confirm(question, hint=shlex.join(words))

    return ask
