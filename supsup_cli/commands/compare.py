"""Compare: `compare`."""

from pathlib import Path
from typing import Annotated

import typer

from supsup_cli.commands.answering import Work, answering
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.options import (
    MOST_IMAGES,
    MOST_OUTPUTS,
    MOST_STEPS,
    DataOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    MaxPixelsOption,
    SeedOption,
    parse_shape,
    usable_path,
)
from supsup_cli.output import Terminal
from supsup_cli.stop_signals import stop_signals
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command()
@answering
def compare(
    data: DataOption = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="supsup, batche, psp, … parted by commas; default: all that are installed.",
            metavar="NAME,…",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Updates for a task, of every method.", min=1, max=MOST_STEPS)
    ] = 1000,
    batch_size: Annotated[
        int, typer.Option(help="Images of an update.", min=1, max=MOST_IMAGES)
    ] = 128,
    seeds: Annotated[int, typer.Option(help="Seeds, for mean and spread.", min=1, max=1000)] = 1,
    rates: Annotated[
        str,
        typer.Option(
            help="Learning rates: chosen from one grid, or fixed as in the papers.",
            metavar="grid|fixed",
        ),
    ] = "grid",
    recipe: Annotated[str, typer.Option(help="How supsup learns its masks.")] = "default",
    limit: Annotated[
        int, typer.Option(help="A seeded N test images of each task.", min=1, metavar="N")
    ] = 1000,
    arch: Annotated[str, typer.Option(help="Network, as of init-base.")] = "lenet-300-100",
    input_shape: Annotated[
        str, typer.Option("--input", help="Channels, height and width.", metavar="CxHxW")
    ] = "1x28x28",
    outputs: Annotated[
        int,
        typer.Option(
            help="Outputs where a task is inferred, superfluous ones included.",
            min=1,
            max=MOST_OUTPUTS,
        ),
    ] = 500,
    init: Annotated[
        str, typer.Option(help="signed-constant (default) or kaiming-normal.", show_default=False)
    ] = "",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Every method begins with a trained network.",
            metavar="FILE.safetensors",
            callback=usable_path,
        ),
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Draw the last layer, whatever --weights has.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Keep what each method makes; go on there when stopped.",
            metavar="FOLDER",
            callback=usable_path,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Accuracy on each task after each task.", callback=usable_path),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Picture: accuracy against tasks learned.", callback=usable_path),
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
