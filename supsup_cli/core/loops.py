"""Load compiled loops if there is a compiler, and run them on several threads."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import pairwise
from types import ModuleType

import torch

# Modules of compiled loops; each lists its public ones in `KERNELS`.
OVER_BITS = "supsup_cli.core.masks.compiled_kernels"
OF_PERCEPTRONS = "supsup_cli.core.inference.compiled_perceptrons"
OF_SIGNATURES = "supsup_cli.core.signatures.compiled_looks"
_COMPILER = "supsup_cli.core.compiling"


def load(module: str) -> ModuleType | None:
    """Import a module of compiled loops; None without a compiler."""
    try:
        return import_module(module)
    except ImportError:  # numba refuses a numpy that is newer than it knows
        return None


def compilations() -> int:
    """Count the loops that this process had to compile, which takes seconds each."""
    compiler = sys.modules.get(_COMPILER)
    loaded = [sys.modules.get(one) for one in (OVER_BITS, OF_PERCEPTRONS, OF_SIGNATURES)]
    if compiler is None:
        return 0
    return sum(compiler.compilations(one) for each in loaded if each for one in each.KERNELS)


def in_threads(
    kernel: Callable[..., None], count: int, *arguments: object, out: object, least: int = 1
) -> None:
    """Run a compiled loop over 0…count in as many ranges as torch has threads.

    Args:
        kernel: called with the arguments, a range's two ends, and `out`.
        count: end of the last range.
        arguments: of the kernel.
        out: array it writes to; each range writes another part.
        least: how many of `count` are worth a thread, because starting one takes 0.1 ms.
    """
    workers = max(1, min(torch.get_num_threads(), count // max(1, least)))
    edges = [count * place // workers for place in range(workers + 1)]
    if workers == 1:
        kernel(*arguments, 0, count, out)
        return
    with ThreadPoolExecutor(workers) as pool:
        ranges = [pool.submit(kernel, *arguments, *one, out) for one in pairwise(edges)]
    for one in ranges:
        one.result()
