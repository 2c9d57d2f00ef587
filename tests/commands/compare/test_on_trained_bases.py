"""Rivals on a network of a library: they start from its weights and keep its normalisation."""

from pathlib import Path

import pytest
import torch
from torch.func import functional_call

from supsup_cli.baselines.networks import Base, LastLayer, has_attention, head_names
from supsup_cli.core.networks.specs import NetworkSpec, build_network
from supsup_cli.errors import UsageError
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.compare.compare import compare
from supsup_cli.workflows.compare.request import CompareRequest
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import answer, make_class_folder
from tests.support.trained import library_network, save_library_network

SHAPE = (3, 64, 64)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_with_the_library_s_last_layer_logits_are_the_library_s(name: str) -> None:
    theirs = library_network(name)
    layers = [one for one in theirs.named_modules() if isinstance(one[1], torch.nn.Linear)]
    classifier, last = layers[-1]
    torch.nn.init.zeros_(last.bias)  # it would hide what images change
    state = theirs.state_dict()
    for key, one in state.items():
        if key.endswith("running_var"):
            one.mul_(1.5)  # as no task's own would be
    weights = {
        key: one for key, one in theirs.named_parameters() if not key.startswith(f"{classifier}.")
    }
    statistics = {key: one for key, one in state.items() if "running_" in key}
    assert statistics
    spec = NetworkSpec(f"torchvision/{name}", SHAPE, last.out_features)
    base = Base(spec, last.out_features, weights, trained=True, seed=0, statistics=statistics)
    network = base.network(last.out_features)
    head = dict(zip(head_names(network), (last.weight, last.bias), strict=True))
    images = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = functional_call(network, weights | head, (images,))
        expected = theirs(images)
        size = expected.abs().max()  # drawn weights give tiny logits
        torch.testing.assert_close(found / size, expected / size, rtol=1e-4, atol=1e-4)
        blank = Base(spec, last.out_features, weights, trained=True, seed=0)
        without = functional_call(blank.network(last.out_features), weights | head, (images,))
    assert not torch.allclose(without / size, found / size, atol=1e-2)  # the statistics count
    assert isinstance(network.get_submodule(head_names(network)[0].rpartition(".")[0]), LastLayer)


def test_every_method_learns_on_one_and_ours_is_what_evaluate_says(tmp_path: Path) -> None:
    save_library_network("mobilenet_v3_small", tmp_path / "weights.safetensors")
    folders = [
        make_class_folder(tmp_path / name, {"low": low, "high": 16}, each=8)
        for name, low in (("a", 2), ("b", 4))
    ]
    base = ("--arch", "mobilenet_v3_small", "--weights", tmp_path / "weights.safetensors")
    words = [word for folder in folders for word in ("--data", folder)]
    small = ("--input", "3x64x64", "--steps", 2, "--batch-size", 4, "--rates", "fixed")
    kept = tmp_path / "kept"
    found = answer("compare", *words, *base, *small, "--keep", kept)
    assert found["arch"] == "torchvision/mobilenet_v3_small"
    rows = {(one["method"], one["scenario"]): one for one in found["methods"]}
    own = {"batche", "psp", "psp-binary", "heads-shared", "linear-heads", "lower-bound"}
    assert {name for name, _ in rows} >= own | {"supsup", "upper-bound"}
    bank = kept / "seed-0" / "supsup" / "bank"
    evaluated = answer("evaluate", "--bank", bank)["tasks"]
    last = rows["supsup", "GG"]["matrix"][-1]
    assert last == [one["accuracy_given"] for one in evaluated]
    # A network for each task keeps nearly two networks, the others one.
    assert rows["upper-bound", "GG"]["bytes"] > 1.9 * rows["linear-heads", "GG"]["bytes"]


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [("vit_b_16", 224, True), ("swin_t", 64, True), ("mobilenet_v2", 64, False)],
)
def test_attention_is_found(name: str, size: int, *, expected: bool) -> None:
    spec = NetworkSpec(f"torchvision/{name}", (3, size, size), 2)
    assert has_attention(build_network(spec)) is expected


def test_contexts_are_refused_before_layers_of_attention(tmp_path: Path) -> None:
    save_library_network("swin_t", tmp_path / "weights.safetensors")
    folder = make_class_folder(tmp_path / "a", {"low": 2, "high": 16}, each=4)
    base = BaseRequest("swin_t", SHAPE, None, 2, 0, "", tmp_path / "weights.safetensors")
    with pytest.raises(UsageError, match="psp: torchvision/swin_t has layers of attention"):
        compare(CompareRequest([str(folder)], ["supsup,psp"], base), Silent())
