"""The command that learns a stream."""

from typing import Annotated

import typer

from supsup_cli.choices import STREAM_RULES
from supsup_cli.commands.answering import Work, answering
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.options import (
    DATA,
    DEFAULT_BANK,
    LEARNING,
    MOST_IMAGES,
    MOST_STEPS,
    BankOption,
    DataOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    MaxPixelsOption,
    SeedOption,
    choice,
    examples,
)
from supsup_cli.output import Terminal
from supsup_cli.stop_signals import stop_signals
from supsup_cli.workflows.results.common import Result

_MOST_MASKS = 100_000

app = typer.Typer()


@app.command(
    "learn-stream",
    epilog=examples(
        "supsup learn-stream --data mnist-perm-0..1 --data mnist-perm-0 --visit 300",
        "supsup learn-stream --data cats --data dogs --visit 200 --name pets",
    ),
)
@answering
def learn_stream(
    data: DataOption = None,
    bank: BankOption = DEFAULT_BANK,
    visit: Annotated[
        int,
        typer.Option(
            help="Batches of each --data, every time it comes.",
            min=1,
            max=MOST_STEPS,
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 1000,
    name: Annotated[
        str,
        typer.Option(
            help="Tasks become NAME-0, NAME-1, ….", metavar="NAME", rich_help_panel=LEARNING
        ),
    ] = "stream",
    budget: Annotated[
        int,
        typer.Option(
            help="Open at most N masks.",
            min=1,
            max=_MOST_MASKS,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = 2500,
    check_every: Annotated[
        int,
        typer.Option(
            help="Batches between comparisons of all masks.",
            min=1,
            max=MOST_STEPS,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = 100,
    rule: Annotated[
        str, choice("--rule", STREAM_RULES, "When a new mask is opened", LEARNING)
    ] = "loss",
    batch_size: Annotated[
        int,
        typer.Option(
            help="Images per batch.",
            min=1,
            max=MOST_IMAGES,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = 128,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
) -> Work:
    """Learn from batches with hidden tasks and boundaries (NNs), in the order of --data."""

    def work(terminal: Terminal) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.streams import learn_stream as workflow
        from supsup_cli.workflows.streams.plan import StreamRequest

        reading = Reading(max_pixels, data_root, download)
        request = StreamRequest(
            data or (), visit, name, budget, check_every, rule, batch_size, seed, device, reading
        )
        with stop_signals() as stop:
            return workflow.learn_stream(bank, request, terminal, stop)

    return work
