"""Try every mask: the most accurate way to name a task, and how to make it fast.

A chain of linear layers needs no module to run it: masks are unpacked into one buffer, and the
products go into others, so that no memory is asked for between two tasks. Where the processor
multiplies bfloat16 several times as fast as float32, all masks are first compared in bfloat16, and
those that the rounding cannot rule out once more in float32.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import Objective, images_at_once, misfit
from supsup_cli.core.networks.specs import MultilayerPerceptron

from .perceptrons import CHUNK_IMAGES, MaskedPerceptron
from .single_mask import single_mask_misfit

# Least numbers of images and tasks for which comparing twice pays.
_LEAST_IMAGES, _LEAST_TASKS = 32, 32
# bfloat16 keeps eight binary digits. A task is out of the race if it lies behind by more than this
# many nats and this share of its logits' size: several times the largest error that was measured.
_MARGIN, _MARGIN_SHARE = 0.25, 2**-6
# Images up to which compiled loops, one row of weights at a time, are faster than unpacking a mask
# for matrix products.
_FEW_IMAGES = 8
# Tasks that are run, then judged, at a time: logits of 16 MB for 500 outputs and 8 images.
_TASKS_AT_ONCE = 1024


def exhaustive(
    network: nn.Module,
    stack: MaskStack,
    groups: Tensor,
    objective: Objective,
    own: Tensor,
    top: int | None = None,
) -> Tensor:
    """Try every mask and score it by the mean of −objective over the group.

    Wortsman et al. 2020, section 3.3, name it as the reference that costs T forward passes. For one
    image it costs no more operations than One-Shot, because that gradient visits every mask too. On
    a network that normalises, how unusual the image is for the task counts too: see
    `single_mask_misfit`.

    Args:
        network: frozen network that all masks share.
        stack: T packed masks.
        groups: (G, n, *input_shape), float32, normalised.
        objective: H, G or R.
        own: (T, O) bool, each task's own outputs.
        top: how many of a group's best scores are wanted; None for all.

    Returns:
        (G, T) float32, nats; NaN for tasks that are not among the best `top`, where leaving them
        out was faster.
    """
    images = groups.flatten(0, 1)
    if not isinstance(network, MultilayerPerceptron) or stack.statistics is not None:
        misfits = _by_modules(network, stack, images, objective, own)
    elif top is not None and _pays(stack, groups, objective, top):
        misfits = _screened(network, stack, images, own, top)
    else:
        few = few_misfits(network, stack, images, objective, own)
        misfits = _misfits(network, stack, images, objective, own) if few is None else few
    scores: Tensor = -misfits.unflatten(0, groups.shape[:2]).mean(1)
    return scores


def _by_modules(
    network: nn.Module, stack: MaskStack, images: Tensor, objective: Objective, own: Tensor
) -> Tensor:
    """Run any network under each mask: (B, T) float32 misfits."""
    chunks = images.split(images_at_once(images, CHUNK_IMAGES))
    columns = []
    for index in range(len(stack)):
        masks, typical = stack.masks(index), stack.typical(index)
        values = [
            single_mask_misfit(network, masks, chunk, objective, own[index], typical)
            for chunk in chunks
        ]
        columns.append(torch.cat(values))
    return torch.stack(columns, dim=1)


def _misfits(
    network: MultilayerPerceptron,
    stack: MaskStack,
    images: Tensor,
    objective: Objective,
    own: Tensor,
) -> Tensor:
    """Run a perceptron under each mask: (B, T) float32 misfits."""
    run = MaskedPerceptron(network, stack, torch.float32)
    chunks = images.flatten(1).split(CHUNK_IMAGES)
    misfits = images.new_empty(len(stack), len(images))
    for index in range(len(stack)):
        run.take(index)
        real = _Outputs(own[index])
        values = [real.misfit(objective, run(chunk)) for chunk in chunks]
        torch.cat(values, out=misfits[index])
    return misfits.T


def _pays(stack: MaskStack, groups: Tensor, objective: Objective, top: int) -> bool:
    """Return whether comparing in bfloat16 first is possible, and the faster way."""
    many = len(groups) >= _LEAST_IMAGES and len(stack) >= max(_LEAST_TASKS, 4 * top)
    alone = objective == "R" and groups.shape[1] == 1
    return many and alone and has_fast_bfloat16(groups.device)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32."""
    if device.type != "cpu":
        return device.type == "cuda"
    capabilities: Callable[[], dict[str, bool]]
    capabilities = getattr(torch.cpu, "get_capabilities", dict)  # newer than the oldest torch here
    known = capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))


def _screened(
    network: MultilayerPerceptron, stack: MaskStack, images: Tensor, own: Tensor, top: int
) -> Tensor:
    """Compare in bfloat16, then those in float32 that may be among the best: (B, T) float32.

    Misfits are those of R; NaN where a task was ruled out.
    """
    run = MaskedPerceptron(network, stack, torch.bfloat16)
    chunks = images.flatten(1).to(torch.bfloat16).split(CHUNK_IMAGES)
    sizes = images.new_zeros(len(images))
    rough = images.new_empty(len(stack), len(images))
    for index in range(len(stack)):
        run.take(index)
        real = _Outputs(own[index])
        for place, chunk in enumerate(chunks):
            here = slice(place * CHUNK_IMAGES, place * CHUNK_IMAGES + len(chunk))
            superfluous, others = real.parts(run(chunk).to(torch.float32))
            torch.sub(superfluous, others, out=rough[index, here])
            torch.maximum(sizes[here], others.abs_(), out=sizes[here])
    best = rough.topk(top, dim=0, largest=False).values[-1]
    bar = best + _MARGIN + _MARGIN_SHARE * sizes
    return _again(network, stack, images, own, rough <= bar).T


def _again(
    network: MultilayerPerceptron, stack: MaskStack, images: Tensor, own: Tensor, wanted: Tensor
) -> Tensor:
    """Run the wanted pairs of task and image, (T, B) bool, in float32: (T, B) misfits, or NaN."""
    run = MaskedPerceptron(network, stack, torch.float32)
    inputs = images.flatten(1)
    misfits = images.new_full(wanted.shape, torch.nan)
    for index in wanted.any(1).nonzero()[:, 0].tolist():
        run.take(index)
        places = wanted[index].nonzero()[:, 0]
        real = _Outputs(own[index])
        values = [real.misfit("R", run(part)) for part in inputs[places].split(CHUNK_IMAGES)]
        misfits[index, places] = torch.cat(values)
    return misfits


class _Outputs:
    """A task's own outputs, read as a slice of the logits where they stand side by side.

    Args:
        own: (O,) bool.
    """

    def __init__(self, own: Tensor) -> None:
        places: list[int] = own.nonzero()[:, 0].tolist()
        self._own = own
        self._first, self._end = (places[0], places[-1] + 1) if places else (0, 0)
        self._together = self._end - self._first == len(places)

    def misfit(self, objective: Objective, logits: Tensor) -> Tensor:
        """Judge (B, O) float32 logits: see `superposition.misfit`."""
        if objective != "R":
            return misfit(objective, logits, self._own)
        superfluous, own = self.parts(logits)
        return superfluous - own

    def parts(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return logsumexp of the superfluous logits, and of the task's own: (B,) each, nats."""
        if not self._together:
            return tuple(  # type: ignore[return-value]
                logits.masked_fill(one, -torch.inf).logsumexp(1) for one in (self._own, ~self._own)
            )
        own = logits[:, self._first : self._end].logsumexp(1)
        beyond = logits[:, self._end :].logsumexp(1)
        if self._first:
            beyond = torch.logaddexp(beyond, logits[:, : self._first].logsumexp(1))
        return beyond, own


def few_misfits(
    network: MultilayerPerceptron,
    stack: MaskStack,
    images: Tensor,
    objective: Objective,
    own: Tensor,
) -> Tensor | None:
    """Run a perceptron under each mask, without memory for any mask as a whole.

    Args:
        network: frozen; its weights are masked, all of them.
        stack: T packed masks.
        images: (B, …) float32, normalised.
        objective: H, G or R.
        own: (T, O) bool, each task's own outputs.

    Returns:
        (B, T) float32 misfits, nats; None where the images are too many, or there are no compiled
        loops for the masks.
    """
    count = len(images)
    if not 0 < count <= _FEW_IMAGES or not bit_kernels.worth_compiling(stack.packed):
        return None
    columns = []
    run = MaskedPerceptron(network, stack, torch.float32)
    if run.compiled is None:
        return None
    for start in range(0, len(stack), _TASKS_AT_ONCE):
        tasks = np.arange(start, min(start + _TASKS_AT_ONCE, len(stack)))
        starts = np.arange(len(tasks) + 1) * count
        members = np.tile(np.arange(count), len(tasks))
        logits = run.on_pairs(images, tasks, starts, members)
        by_task = logits.unflatten(0, (len(tasks), count))
        columns.append(misfit(objective, by_task, own[tasks, None]))
    return torch.cat(columns).T
