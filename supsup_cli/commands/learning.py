"""Learn: `init-base` and `learn-task`."""

from pathlib import Path
from typing import Annotated

import typer

from supsup_cli.commands.answering import Together, Work, answer_together, answering
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.options import (
    DEFAULT_BANK,
    MOST_IMAGES,
    MOST_OUTPUTS,
    MOST_STEPS,
    BankOption,
    DataOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    DownloadOption,
    JsonOption,
    MaxPixelsOption,
    QuietOption,
    SeedOption,
    parse_shape,
    usable_path,
)
from supsup_cli.output import Terminal
from supsup_cli.stop_signals import stop_signals
from supsup_cli.workflows.results.common import Result

app = typer.Typer()


@app.command("init-base")
@answering
def init_base(
    bank: BankOption = DEFAULT_BANK,
    arch: Annotated[
        str,
        typer.Option(
            help="lenet-300-100, fc-1024-1024, mlp-A-B-…, conv-4, gem-resnet18, resnet18, "
            "resnet50, units-A-B-… (masks choose units); with --weights a network of "
            "torchvision, or timm/NAME."
        ),
    ] = "lenet-300-100",
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Channels, height and width; default: 1x28x28, or what --weights were trained on.",
            metavar="CxHxW",
        ),
    ] = None,
    outputs: Annotated[
        int | None,
        typer.Option(
            help="Outputs, superfluous ones included; default: 500, or the real ones over a "
            "library's network.",
            min=1,
            max=MOST_OUTPUTS,
        ),
    ] = None,
    real_outputs: Annotated[
        int, typer.Option(help="Outputs that may be classes.", min=1, max=MOST_OUTPUTS)
    ] = 10,
    init: Annotated[
        str, typer.Option(help="signed-constant (default) or kaiming-normal.", show_default=False)
    ] = "",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Take a trained network: a file, a folder of the hub, or imagenet, which fetches "
            "what torchvision or timm publish.",
            metavar="FILE.safetensors|imagenet",
            callback=usable_path,
        ),
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Draw the last layer, whatever --weights has.")
    ] = False,
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


@app.command("learn-task")
def learn_task(
    data: DataOption = None,
    bank: BankOption = DEFAULT_BANK,
    name: Annotated[str | None, typer.Option(help="The task's name; default: the data's.")] = None,
    recipe: Annotated[
        str, typer.Option(help="default, paper, fast, or separable (for tasks that look alike).")
    ] = "default",
    steps: Annotated[
        int | None, typer.Option(help="Updates of the mask.", min=1, max=MOST_STEPS)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per update.", min=1, max=MOST_IMAGES)
    ] = None,
    density: Annotated[
        str | None, typer.Option(help="Weights to keep: a share, or er:S (denser with S).")
    ] = None,
    transfer: Annotated[
        bool, typer.Option("--transfer", help="Start from the masks of earlier tasks.")
    ] = False,
    combine: Annotated[
        float | None,
        typer.Option(help="Combine earlier masks if that classifies this share.", metavar="SHARE"),
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help="Change images at random: flip, shift or flip,shift.")
    ] = None,
    detect: Annotated[
        bool, typer.Option("--detect", help="Learn nothing that belongs to a known task (NNs).")
    ] = False,
    signature: Annotated[
        bool,
        typer.Option(
            "--signature/--no-signature",
            help="Keep what the frozen network says of the task's images.",
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
