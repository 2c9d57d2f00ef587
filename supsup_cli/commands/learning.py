"""Learn: `init-base` and `learn-task`."""

from pathlib import Path
from typing import Annotated

import typer

from supsup_cli.choices import CHANGES
from supsup_cli.commands.answering import Together, Work, answer_together, answering
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.options import (
    DEFAULT_BANK,
    LEARNING,
    MOST_IMAGES,
    MOST_OUTPUTS,
    MOST_STEPS,
    NETWORK,
    ArchOption,
    BankOption,
    DataOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    DownloadOption,
    InitOption,
    JsonOption,
    MaxPixelsOption,
    NewHeadOption,
    QuietOption,
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
    "init-base",
    epilog=examples(
        "supsup init-base",
        "supsup init-base --bank photos.bank --arch conv-4 --input 3x32x32 --outputs 20",
    ),
)
@answering
def init_base(
    bank: BankOption = DEFAULT_BANK,
    arch: ArchOption = "lenet-300-100",
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Channels, height and width; default: 1x28x28, or what --weights were trained on.",
            metavar="CxHxW",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    outputs: Annotated[
        int | None,
        typer.Option(
            help="Outputs, superfluous ones included; default: 500, or with a network of "
            "torchvision or timm the real ones.",
            min=1,
            max=MOST_OUTPUTS,
            metavar="N",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    real_outputs: Annotated[
        int,
        typer.Option(
            help="Outputs that may be classes.",
            min=1,
            max=MOST_OUTPUTS,
            metavar="N",
            rich_help_panel=NETWORK,
        ),
    ] = 10,
    init: InitOption = "",
    weights: Annotated[
        Path | None,
        file_option(
            "Take a trained network: a file, a folder as the hub has it, or imagenet, which "
            "fetches what torchvision or timm publish.",
            "FILE.safetensors|imagenet",
            NETWORK,
        ),
    ] = None,
    new_head: NewHeadOption = False,
    seed: SeedOption = 0,
) -> Work:
    """Create a bank: a network, drawn from the seed or trained elsewhere, frozen for ever."""
    shape = None if input_shape is None else parse_shape(input_shape)

    def work(terminal: Terminal) -> Result:
        from supsup_cli.workflows.bank import init_base as workflow
        from supsup_cli.workflows.bank.requests import BaseRequest

        request = BaseRequest(arch, shape, outputs, real_outputs, seed, init, weights, new_head)
        return workflow.init_base(bank, request, terminal)

    return work


@app.command(
    "learn-task",
    epilog=examples(
        "supsup learn-task --data mnist-perm-0..9",
        "supsup learn-task --data pets --augment flip,shift",
    ),
)
def learn_task(
    data: DataOption = None,
    bank: BankOption = DEFAULT_BANK,
    name: Annotated[
        str | None,
        typer.Option(
            help="The task's name; default: the data's.", metavar="NAME", rich_help_panel=LEARNING
        ),
    ] = None,
    recipe: RecipeOption = "default",
    steps: Annotated[
        int | None,
        typer.Option(
            help="Updates of the mask; default: the recipe's.",
            min=1,
            max=MOST_STEPS,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Images per update; default: the recipe's.",
            min=1,
            max=MOST_IMAGES,
            metavar="N",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    density: Annotated[
        str | None,
        typer.Option(
            help="Weights to keep: a share like 0.05, or er:S (the larger S, the denser).",
            metavar="SHARE|er:S",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    transfer: Annotated[
        bool,
        typer.Option(
            "--transfer",
            help="Start from the masks of earlier tasks.",
            rich_help_panel=LEARNING,
        ),
    ] = False,
    combine: Annotated[
        float | None,
        typer.Option(
            help="Learn no mask if a combination of earlier ones classifies this share rightly.",
            metavar="SHARE",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    augment: Annotated[
        str | None,
        choice("--augment", CHANGES, "Change images at random", LEARNING, also="flip,shift: both"),
    ] = None,
    detect: Annotated[
        bool,
        typer.Option(
            "--detect",
            help="Learn nothing that belongs to a known task (NNs).",
            rich_help_panel=LEARNING,
        ),
    ] = False,
    signature: Annotated[
        bool,
        typer.Option(
            "--signature/--no-signature",
            help="Keep the frozen network's statistics of the task's images.",
            rich_help_panel=LEARNING,
        ),
    ] = True,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    data_root: DataRootOption = "",
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Learn a mask for each task and commit each as it is done (GG, GN: the task is known)."""

    def work(together: Together) -> Result:
        from supsup_cli.data.reading import Reading
        from supsup_cli.workflows.learning import learn_task as workflow
        from supsup_cli.workflows.learning.plan import LearnRequest

        request = LearnRequest(
            data=data or (),
            name=name,
            recipe=recipe,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            device=together.device(device),
            density=density,
            transfer=transfer,
            combine=combine,
            augment=augment,
            detect=detect,
            signature=signature,
            reading=Reading(max_pixels, data_root, download),
        )
        with stop_signals() as stop:
            return workflow.learn_task(bank, request, together.reporter, stop, together.ranks)

    answer_together(work, as_json=as_json, quiet=quiet)
