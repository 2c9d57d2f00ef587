"""Every kernel against the plain reference, at any shape, density and alignment."""

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskLayout, MaskStack
from supsup_cli.workflows.inference import rules
from supsup_cli.workflows.reporting import Silent

seeds = st.integers(0, 2**32 - 1)
densities = st.sampled_from([0.0, 0.01, 0.5, 1.0])


@pytest.fixture(autouse=True)
def compiled_for_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_kernels, "_WORTH_COMPILED", 0)


@pytest.mark.parametrize("count", [8, 100, 5000, 40_000])
def test_no_bit_of_a_product_depends_on_how_many_masks_there_are(count: int) -> None:
    """Threads and ranks divide the masks among them, so that every number of masks occurs."""
    rng = np.random.default_rng(count)
    packed = _bits(rng, 11, count, 0.5)
    values = torch.from_numpy(rng.standard_normal((1, packed.shape[1] * 8))).float()
    together = bit_kernels.products(values, packed)
    for first in range(11):
        for last in range(first + 1, 12):
            some = bit_kernels.products(values, packed[first:last])
            assert torch.equal(some, together[:, first:last])


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    vectors=st.integers(1, 8),
    tasks=st.integers(1, 70),
    count=st.integers(1, 30_000),
    density=densities,
    places=st.integers(0, 65),
    threads=st.integers(1, 3),
)
def test_products_and_sums_are_those_of_the_reference(
    seed: int, vectors: int, tasks: int, count: int, density: float, places: int, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    packed = _offset(_bits(rng, tasks, count, density), places)
    values = torch.from_numpy(rng.standard_normal((vectors, packed.shape[1] * 8))).float()
    alphas = torch.from_numpy(rng.standard_normal((vectors, tasks))).float()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = bit_kernels.products(values, packed)
        mixed = bit_kernels.weighted_sum(alphas, packed)
    finally:
        torch.set_num_threads(before)
    bits = _unpacked(packed)
    # A sum of n float32 terms has an error of several times its own rounding and that of √n
    # terms, in whatever order it is taken.
    scale = float(values.abs().amax()) * (packed.shape[1] * 8) ** 0.5
    exact = values.double() @ bits.T
    for tried in (found, bit_kernels.plain_products(values, packed)):
        torch.testing.assert_close(tried.double(), exact, atol=1e-5 * scale, rtol=1e-6)
    total = alphas.double() @ bits
    for tried in (mixed, bit_kernels.plain_weighted_sum(alphas, packed)):
        torch.testing.assert_close(tried.double(), total, atol=2e-5, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, tasks=st.integers(1, 140), count=st.integers(1, 9_000), chosen=densities)
def test_equal_coefficients_are_counted_exactly(
    seed: int, tasks: int, count: int, chosen: float
) -> None:
    rng = np.random.default_rng(seed)
    packed = _bits(rng, tasks, count, 0.5)
    alphas = torch.from_numpy(rng.random((1, tasks)) < chosen).float() * 0.25
    found = bit_kernels.weighted_sum(alphas, packed)
    assert torch.equal(found.double(), alphas.double() @ _unpacked(packed))


def test_gains_of_sparse_masks_are_applied() -> None:
    rng = np.random.default_rng(0)
    layout = MaskLayout({"a": (5, 7), "b": (9, 33)})
    packed = torch.cat([_bits(rng, 9, 35, 0.5), _bits(rng, 9, 297, 0.5)], dim=1)
    stack = MaskStack(packed, layout, torch.rand(9, 2) + 0.5)
    dense = torch.stack([layout.join(stack.masks(index)) for index in range(9)])
    vectors, alphas = torch.randn(2, layout.bytes * 8), torch.randn(2, 9)
    torch.testing.assert_close(stack.products(vectors), vectors @ dense.T)
    torch.testing.assert_close(stack.weighted_sum(alphas), alphas @ dense)
    even = torch.full((1, 9), 1 / 9)
    torch.testing.assert_close(stack.weighted_sum(even), even @ dense)


def test_without_numba_the_reference_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = _bits(np.random.default_rng(0), 3, 40, 0.5)
    values = torch.randn(1, 40)
    expected = bit_kernels.products(values, packed)
    monkeypatch.delattr("supsup_cli.core.masks.compiled_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "supsup_cli.core.masks.compiled_kernels", None)
    assert torch.equal(bit_kernels.products(values, packed), values @ _unpacked(packed).float().T)
    torch.testing.assert_close(bit_kernels.products(values, packed), expected)


def test_small_banks_need_no_compiler() -> None:
    """Loading the compiler would take longer than the product."""
    script = """
import sys, torch
from supsup_cli.core import loops
from supsup_cli.core.masks import bit_kernels
bit_kernels.products(torch.ones(1, 64), torch.zeros(10, 8, dtype=torch.uint8))
print("numba" in sys.modules)
"""
    assert _run(script) == "False"


def test_code_that_cannot_be_kept_is_compiled_all_the_same() -> None:
    """The package is read-only, and so is the user's home."""
    script = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
import numpy as np
from supsup_cli.core.masks import compiled_kernels
out = np.zeros(1)
planes, packed = np.ones((8, 3), np.float32), np.full((1, 3), 3, np.uint8)
compiled_kernels.add_products(planes, packed, 0, 1, out)
print(out[0])
"""
    assert _run(script) == "6.0"


def test_compiling_is_counted_and_what_was_compiled_is_found_again(tmp_path: Path) -> None:
    script = """
import torch
from supsup_cli.core import loops
from supsup_cli.core.masks import bit_kernels
bit_kernels._WORTH_COMPILED = 0
counted = [loops.compilations()]
for _ in range(2):
    bit_kernels.products(torch.ones(1, 64), torch.zeros(10, 8, dtype=torch.uint8))
    counted.append(loops.compilations())
print(counted)
"""
    told = [_run(script, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    assert told == ["[0, 1, 1]", "[0, 0, 0]"]


def test_compiling_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Notes(Silent):
        told: ClassVar[list[str]] = []

        def note(self, text: str) -> None:
            self.told.append(text)

    counts = iter([3, 3, 3, 4])
    monkeypatch.setattr(rules, "compilations", lambda: next(counts))
    for expected in (0, 1):
        with rules.told_of_compiling(Notes()):
            pass
        assert len(Notes.told) == expected
    assert "compiled" in Notes.told[0]


def _run(script: str, **variables: str) -> str:
    command, env = [sys.executable, "-c", script], {**os.environ, **variables}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def _bits(rng: np.random.Generator, tasks: int, count: int, density: float) -> Tensor:
    kept = rng.random((tasks, count)) < density
    return torch.from_numpy(np.packbits(kept, axis=1, bitorder="little"))


def _offset(packed: Tensor, places: int) -> Tensor:
    """Move an array so that it begins at any address."""
    room = torch.empty(packed.numel() + places, dtype=torch.uint8)
    return room[places:].view(packed.shape).copy_(packed)


def _unpacked(packed: Tensor) -> Tensor:
    return torch.from_numpy(np.unpackbits(packed.numpy(), axis=1, bitorder="little")).double()
