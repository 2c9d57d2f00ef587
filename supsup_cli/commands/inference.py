"""Ask: `infer-task`, `predict` and `evaluate`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from supsup_cli.commands.answering import Together, answer_lines, answer_together
from supsup_cli.completion import complete_tasks
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.errors import UsageError
from supsup_cli.options import (
    DATA,
    DECIDING,
    DEFAULT_BANK,
    OUTPUT,
    DataOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    DownloadOption,
    FailOnNewOption,
    GroupOption,
    ImagesArgument,
    JsonLinesOption,
    JsonOption,
    LimitOption,
    MaxPixelsOption,
    MethodOption,
    ObjectiveOption,
    QuietOption,
    ReadBankOption,
    SeedOption,
    examples,
    file_option,
)
from supsup_cli.output import Terminal
from supsup_cli.workflows.results.common import Result

if TYPE_CHECKING:
    from supsup_cli.workflows.results.inference import LinesResult, PredictResult

app = typer.Typer()


@app.command(
    "infer-task",
    epilog=examples(
        "supsup infer-task photos", "supsup infer-task --data mnist-perm-0 --limit 5 --top 1"
    ),
)
def infer_task(
    images: ImagesArgument = None,
    bank: ReadBankOption = DEFAULT_BANK,
    data: DataOption = None,
    method: MethodOption = "auto",
    objective: ObjectiveOption = None,
    group: GroupOption = "image",
    top: Annotated[
        int,
        typer.Option(
            help="Print the scores of the K best tasks.", metavar="K", rich_help_panel=OUTPUT
        ),
    ] = 3,
    limit: LimitOption = None,
    fail_on_new: FailOnNewOption = False,
    plot: Annotated[
        Path | None, file_option("Draw how --method hopfield recovers masks.", "FILE.png")
    ] = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    json_lines: JsonLinesOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Name the task that each image belongs to, from the image alone (GN)."""

    def work(together: Together) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.inference import infer_task as workflow
        from supsup_cli.workflows.inference.inputs import InputRequest
        from supsup_cli.workflows.inference.rules import DecisionRequest

        reading = Reading(max_pixels, data_root, download)
        paths = images or ()
        stdin = together.lines(paths, sys.stdin)
        inputs = InputRequest(paths, stdin, data or (), limit, seed, reading)
        decision = DecisionRequest(method, objective, group, together.device(device))
        return workflow.infer_task(
            bank, inputs, decision, top, together.reporter, plot, together.ranks
        )

    def stream(terminal: Terminal) -> "LinesResult":
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.inference.answer_lines import infer_lines
        from supsup_cli.workflows.inference.inputs import InputRequest
        from supsup_cli.workflows.inference.rules import DecisionRequest

        if plot is not None:
            raise UsageError(f"--plot {plot} with --json-lines: expected none")
        reading = Reading(max_pixels, data_root, download)
        inputs = InputRequest(images or (), sys.stdin, data or (), limit, seed, reading)
        decision = DecisionRequest(method, objective, group, device)
        return infer_lines(bank, inputs, decision, top, terminal, terminal.line)

    if json_lines:
        answer_lines(stream, as_json=as_json, quiet=quiet, fail_on_new=fail_on_new)
    answer_together(work, as_json=as_json, quiet=quiet, fail_on_new=fail_on_new)


@app.command(
    epilog=examples(
        "supsup predict photos --sheet sheet.png --sort sorted",
        "supsup predict --task pets --json photos/1.png",
    )
)
def predict(
    images: ImagesArgument = None,
    bank: ReadBankOption = DEFAULT_BANK,
    data: DataOption = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="The task, if you know it (GG); otherwise it is inferred (GNs, GNu).",
            metavar="NAME",
            autocompletion=complete_tasks,
            rich_help_panel=DECIDING,
        ),
    ] = None,
    method: MethodOption = "auto",
    objective: ObjectiveOption = None,
    group: GroupOption = "image",
    limit: LimitOption = None,
    fail_on_new: FailOnNewOption = False,
    sheet: Annotated[
        Path | None, file_option("Draw a contact sheet of the images, 400 a page.", "FILE.png")
    ] = None,
    sort: Annotated[
        Path | None,
        file_option("Copy images into FOLDER/TASK/CLASS, new ones into FOLDER/_new.", "FOLDER"),
    ] = None,
    link: Annotated[
        bool,
        typer.Option(
            "--link",
            help="With --sort: make hard links instead of copies.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    json_lines: JsonLinesOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Name the task and the class of each image."""

    def work(together: Together) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.inference import predict as workflow
        from supsup_cli.workflows.inference.inputs import InputRequest
        from supsup_cli.workflows.inference.rules import DecisionRequest

        reading = Reading(max_pixels, data_root, download)
        paths = images or ()
        stdin = together.lines(paths, sys.stdin)
        asked = InputRequest(paths, stdin, data or (), limit, seed, reading)
        decision = DecisionRequest(method, objective, group, together.device(device))

        def answers(inputs: InputRequest) -> "PredictResult":
            return workflow.predict(bank, inputs, decision, task, together.reporter, together.ranks)

        if sheet is None and sort is None and not link:
            return answers(asked)
        from supsup_cli.workflows.inference.photos.predict_photos import Wanted, predict_photos

        return predict_photos(bank, asked, Wanted(sheet, sort, link), answers, together.reporter)

    def stream(terminal: Terminal) -> "LinesResult":
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.inference.answer_lines import predict_lines
        from supsup_cli.workflows.inference.inputs import InputRequest
        from supsup_cli.workflows.inference.rules import DecisionRequest

        if sheet is not None or sort is not None or link:
            raise UsageError("--sheet, --sort or --link with --json-lines: expected none of them")
        reading = Reading(max_pixels, data_root, download)
        inputs = InputRequest(images or (), sys.stdin, data or (), limit, seed, reading)
        decision = DecisionRequest(method, objective, group, device)
        return predict_lines(bank, inputs, decision, task, terminal, terminal.line)

    if json_lines:
        answer_lines(stream, as_json=as_json, quiet=quiet, fail_on_new=fail_on_new)
    answer_together(work, as_json=as_json, quiet=quiet, fail_on_new=fail_on_new)


@app.command(
    epilog=examples(
        "supsup evaluate --limit 200", "supsup evaluate --tasks pets --csv pets.csv --plot pets.png"
    )
)
def evaluate(
    bank: ReadBankOption = DEFAULT_BANK,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--tasks",
            help="A task to measure; repeat it for more. Default: all.",
            metavar="NAME",
            autocompletion=complete_tasks,
            rich_help_panel=DATA,
        ),
    ] = None,
    method: MethodOption = "auto",
    objective: ObjectiveOption = None,
    group: GroupOption = "image",
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="Where a task's data lies now, if it moved; repeat it for more.",
            metavar="FOLDER",
            rich_help_panel=DATA,
        ),
    ] = None,
    group_sizes: Annotated[
        str,
        typer.Option(
            help="Also measure with groups of so many images.",
            metavar="N,N,…",
            rich_help_panel=DECIDING,
        ),
    ] = "",
    limit: LimitOption = None,
    plot: Annotated[
        Path | None, file_option("Draw accuracies, and which tasks are confused.", "FILE.png")
    ] = None,
    csv: Annotated[
        Path | None, file_option("Write a table of tasks and their confusion.", "FILE.csv")
    ] = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure test accuracy with the task given (GG) and inferred (GNu, GNs)."""

    def work(together: Together) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.inference import evaluate as workflow
        from supsup_cli.workflows.inference.rules import DecisionRequest

        decision = DecisionRequest(method, objective, group, together.device(device))
        request = workflow.EvaluateRequest(
            tasks or (),
            limit,
            seed,
            group_sizes,
            plot,
            csv,
            Reading(max_pixels, data_root, download),
            data or (),
        )
        return workflow.evaluate(bank, decision, request, together.reporter, together.ranks)

    answer_together(work, as_json=as_json, quiet=quiet)
