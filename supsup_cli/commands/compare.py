"""Compare: `compare`."""

from pathlib import Path
from typing import Annotated

import typer

from supsup_cli.choices import RATES
from supsup_cli.commands.answering import Work, answering
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.options import (
    DATA,
    LEARNING,
    MOST_IMAGES,
    MOST_OUTPUTS,
    MOST_STEPS,
    NETWORK,
    ArchOption,
    DataOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    InitOption,
    MaxPixelsOption,
    NewHeadOption,
    RecipeOption,
    SeedOption,
    choice,
    examples,
    file_option,
    parse_shape,
)
from supsup_cli.output import Terminal
from supsup_cli.stop_signals import stop_signals
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command(
    epilog=examples(
        "supsup compare --data mnist-perm-0..4 --methods supsup,batche --steps 200",
        "supsup compare --data mnist-split-0..4 --methods supsup,psp --plot seen.png",
    )
)
@answering
def compare(
    data: DataOption = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="Methods like supsup,batche,psp; default: all that are installed.",
            metavar="NAME,…",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    steps: Annotated[
        int,
        typer.Option(
            help="Updates per task, the same for every method.",
            min=1,
            max=MOST_STEPS,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = 1000,
    batch_size: Annotated[
        int,
        typer.Option(
            help="Images per update.",
            min=1,
            max=MOST_IMAGES,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = 128,
    seeds: Annotated[
        int,
        typer.Option(
            help="Repeat with N seeds, for mean and spread.",
            min=1,
            max=1000,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = 1,
    rates: Annotated[str, choice("--rates", RATES, "Learning rates", LEARNING)] = "grid",
    recipe: RecipeOption = "default",
    limit: Annotated[
        int,
        typer.Option(
            help="Use N random (seeded) test images of each task.",
            min=1,
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 1000,
    arch: ArchOption = "lenet-300-100",
    input_shape: Annotated[
        str,
        typer.Option(
            "--input",
            help="Channels, height and width.",
            metavar="CxHxW",
            rich_help_panel=NETWORK,
        ),
    ] = "1x28x28",
    outputs: Annotated[
        int,
        typer.Option(
            help="Outputs where a task is inferred, superfluous ones included.",
            min=1,
            max=MOST_OUTPUTS,
            metavar="N",
            rich_help_panel=NETWORK,
        ),
    ] = 500,
    init: InitOption = "",
    weights: Annotated[
        Path | None,
        file_option("Start every method from a trained network.", "FILE.safetensors", NETWORK),
    ] = None,
    new_head: NewHeadOption = False,
    keep: Annotated[
        Path | None,
        file_option("Keep what each method makes; the same command continues there.", "FOLDER"),
    ] = None,
    csv: Annotated[
        Path | None, file_option("Write the accuracy on each task after each task.", "FILE.csv")
    ] = None,
    plot: Annotated[
        Path | None, file_option("Draw accuracy against tasks learned.", "FILE.png")
    ] = None,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
) -> Work:
    """Learn the same tasks with several methods and compare them."""
    shape = parse_shape(input_shape)

    def work(terminal: Terminal) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.bank.requests import BaseRequest
        from supsup_cli.workflows.compare.compare import compare
        from supsup_cli.workflows.compare.request import CompareRequest

        base = BaseRequest(arch, shape, outputs, 1, seed, init, weights, new_head)
        request = CompareRequest(
            data or (),
            methods or (),
            base,
            recipe,
            steps,
            batch_size,
            seeds,
            rates,
            limit,
            device,
            keep,
            csv,
            plot,
            Reading(max_pixels, data_root, download),
        )
        with stop_signals() as stop:
            return compare(request, terminal, stop)

    return work
