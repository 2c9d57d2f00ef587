"""The commands: parse, call one workflow, hand the result to the output. No logic."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from supsup_cli import __version__
from supsup_cli.boundary import run
from supsup_cli.options import (
    DEFAULT_BANK,
    MOST_IMAGES,
    MOST_OUTPUTS,
    MOST_STEPS,
    BankOption,
    DataOption,
    DebugOption,
    DeviceOption,
    GroupOption,
    ImagesArgument,
    JsonOption,
    LimitOption,
    MethodOption,
    ObjectiveOption,
    QuietOption,
    SeedOption,
    parse_shape,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results import Result

app = typer.Typer(
    name="supsup",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A persistent bank of supermasks: one frozen network, one binary mask per task.",
)
data_app = typer.Typer(no_args_is_help=True, help="What --data understands, and its images.")
app.add_typer(data_app, name="data")


def _answer(work: Callable[[Terminal], Result], *, as_json: bool, quiet: bool) -> None:
    terminal = Terminal(as_json=as_json, quiet=quiet)
    result = work(terminal)
    terminal.answer(result)
    raise typer.Exit(result.exit_code)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"supsup {__version__}")
        raise typer.Exit


@app.callback()
def _supsup(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


@app.command("init-base")
def init_base(
    bank: BankOption = DEFAULT_BANK,
    arch: Annotated[
        str, typer.Option(help="lenet-300-100, fc-1024-1024 or mlp-A-B-….")
    ] = "lenet-300-100",
    input_shape: Annotated[
        str, typer.Option("--input", help="Channels, height and width.", metavar="CxHxW")
    ] = "1x28x28",
    outputs: Annotated[
        int, typer.Option(help="Outputs, superfluous ones included.", min=1, max=MOST_OUTPUTS)
    ] = 500,
    real_outputs: Annotated[
        int, typer.Option(help="Outputs that may be classes.", min=1, max=MOST_OUTPUTS)
    ] = 10,
    init: Annotated[str, typer.Option(help="signed-constant or kaiming-normal.")] = (
        "signed-constant"
    ),
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Create a bank: a network drawn from the seed and frozen for ever."""
    shape = parse_shape(input_shape)

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import init_base as workflow

        request = workflow.BaseRequest(arch, shape, outputs, real_outputs, seed, init)
        return workflow.init_base(bank, request)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command("learn-task")
def learn_task(
    data: DataOption = None,
    bank: BankOption = DEFAULT_BANK,
    name: Annotated[str | None, typer.Option(help="The task's name; default: the data's.")] = None,
    recipe: Annotated[
        str, typer.Option(help="default, paper, or separable (for tasks that look alike).")
    ] = "default",
    steps: Annotated[
        int | None, typer.Option(help="Updates of the mask.", min=1, max=MOST_STEPS)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per update.", min=1, max=MOST_IMAGES)
    ] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Learn a mask for each task and commit each as it is done (GG, GN: the task is known)."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows import learn_task as workflow
        from supsup_cli.workflows.learning_plan import LearnRequest

        request = LearnRequest(data or (), name, recipe, steps, batch_size, seed, device)
        return workflow.learn_task(bank, request, terminal)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command("infer-task")
def infer_task(
    images: ImagesArgument = None,
    bank: BankOption = DEFAULT_BANK,
    data: DataOption = None,
    method: MethodOption = "auto",
    objective: ObjectiveOption = None,
    group: GroupOption = "image",
    top: Annotated[int, typer.Option(help="Scores of the K best tasks.", metavar="K")] = 3,
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Name the task that each image belongs to, from the image alone (GN)."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows import infer_task as workflow
        from supsup_cli.workflows.deciding import DecisionRequest
        from supsup_cli.workflows.inputs import InputRequest

        inputs = InputRequest(images or (), sys.stdin, data or (), limit, seed)
        decision = DecisionRequest(method, objective, group, device)
        return workflow.infer_task(bank, inputs, decision, top, terminal)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command()
def predict(
    images: ImagesArgument = None,
    bank: BankOption = DEFAULT_BANK,
    data: DataOption = None,
    task: Annotated[
        str | None, typer.Option(help="The task (GG); else it is inferred (GNs, GNu).")
    ] = None,
    method: MethodOption = "auto",
    objective: ObjectiveOption = None,
    group: GroupOption = "image",
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Name the task and the class of each image."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows import predict as workflow
        from supsup_cli.workflows.deciding import DecisionRequest
        from supsup_cli.workflows.inputs import InputRequest

        inputs = InputRequest(images or (), sys.stdin, data or (), limit, seed)
        decision = DecisionRequest(method, objective, group, device)
        return workflow.predict(bank, inputs, decision, task, terminal)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command()
def evaluate(
    bank: BankOption = DEFAULT_BANK,
    tasks: Annotated[
        list[str] | None, typer.Option("--tasks", help="Tasks to measure; default: all.")
    ] = None,
    method: MethodOption = "auto",
    objective: ObjectiveOption = None,
    group: GroupOption = "image",
    limit: LimitOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure test accuracy with the task given (GG) and inferred (GNu, GNs)."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows import evaluate as workflow
        from supsup_cli.workflows.deciding import DecisionRequest

        decision = DecisionRequest(method, objective, group, device)
        return workflow.evaluate(bank, decision, tasks or (), limit, seed, terminal)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command()
def stats(
    bank: BankOption = DEFAULT_BANK,
    overlaps: Annotated[bool, typer.Option("--overlaps", help="Compare every pair.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Picture of the overlaps.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Count the bank's tasks, bits and bytes, beside other ways to keep as many tasks."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import stats as workflow

        return workflow.stats(bank, overlaps=overlaps, plot=plot)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command()
def tasks(
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """List the bank's tasks."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import listing as workflow

        return workflow.list_tasks(bank)

    _answer(work, as_json=as_json, quiet=quiet)


@app.command()
def verify(
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Read every byte of the bank and report every problem."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import verify as workflow

        return workflow.verify(bank)

    _answer(work, as_json=as_json, quiet=quiet)


@data_app.command("list")
def data_list(
    as_json: JsonOption = False, quiet: QuietOption = False, debug: DebugOption = False
) -> None:
    """List the names that --data understands."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import data as workflow

        return workflow.data_list()

    _answer(work, as_json=as_json, quiet=quiet)


@data_app.command("export")
def data_export(
    name: Annotated[str, typer.Argument(help="A name from data list.")],
    folder: Annotated[str, typer.Argument(help="Where the images go: FOLDER/CLASS/NNNNN.png.")],
    split: Annotated[str, typer.Option(help="train, calibration or test.")] = "test",
    limit: LimitOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write images of a data set as files."""

    def work(_terminal: Terminal) -> Result:
        from supsup_cli.workflows import data as workflow

        return workflow.data_export(name, folder, split=split, limit=limit, seed=seed)

    _answer(work, as_json=as_json, quiet=quiet)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run(app, list(sys.argv[1:] if arguments is None else arguments))
