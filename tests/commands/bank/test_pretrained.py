"""`init-base --weights`: a network trained elsewhere as the frozen base."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from bank_format.bank import Bank
from bank_format.encoding.canonical_json import canonical
from bank_format.errors import DamagedError
from bank_format.kinds.bank_json import parse_bank_file
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze, kaiming_normal
from supsup_cli.data.catalog import load
from supsup_cli.workflows.opening import open_network
from tests.support.banks import spec
from tests.support.commands import answer, run

SMALL = ("--arch", "mlp-32", "--outputs", 60)
SHAPES = {"layers.0.weight": (32, 784), "layers.1.weight": (60, 32)}


def _state(seed: int = 0) -> dict[str, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=stream) for name, shape in SHAPES.items()}


def _save(path: Path, state: dict[str, Tensor]) -> Path:
    save_file(state, path)
    return path


def test_the_files_weights_are_the_base_and_its_digest_is_in_the_bank(tmp_path: Path) -> None:
    state = _state()
    file = _save(tmp_path / "net.safetensors", state | {"norm.running_mean": torch.zeros(3)})
    words = ("init-base", "--bank", tmp_path / "bank", *SMALL, "--weights", file)
    assert answer(*words)["status"] == "created"
    assert answer(*words)["status"] == "exists"
    bank = Bank.open(tmp_path / "bank")
    assert bank.record.init == "weights"
    assert bank.record.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    for name, array in bank.base().items():
        assert (array == state[name].numpy()).all()
    assert answer("verify", "--bank", bank.path)["ok"]
    assert answer("learn-task", "--bank", bank.path, "--data", "mnist-perm-0", "--steps", 5)
    other = _save(tmp_path / "other.safetensors", _state(1))
    assert run(*words[:-1], other).code == 11


def test_a_bank_without_weights_has_no_such_key(bank: Path) -> None:
    assert "weights_sha256" not in json.loads((bank / "bank.json").read_bytes())
    assert Bank.open(bank).record.weights_sha256 == ""


def test_an_empty_digest_is_damage(bank: Path) -> None:
    record = json.loads((bank / "bank.json").read_bytes())
    del record["sha256"]
    record["weights_sha256"] = ""
    digest = hashlib.sha256(canonical(record) + b"\n").hexdigest()
    with pytest.raises(DamagedError, match="weights_sha256: its default found"):
        parse_bank_file(canonical(record | {"sha256": digest}) + b"\n", "bank.json")


def test_the_digest_belongs_to_init_weights_alone() -> None:
    for changes in ({"init": "weights"}, {"weights_sha256": "ab" * 32}):
        with pytest.raises(ValueError, match="expected a digest if init is 'weights'"):
            spec(**changes)
    with pytest.raises(ValueError, match="digest"):
        spec(init="weights", weights_sha256="short")


def _without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("state", "parts"),
    [
        (_without(_state(), "layers.0.weight"), ("1 missing (layers.0.weight)",)),
        (_state() | {"layers.0.bias": torch.zeros(32)}, ("1 unknown (layers.0.bias)",)),
        ({"a": torch.zeros(2)}, ("2 missing (layers.0.weight, layers.1.weight)", "1 unknown (a)")),
        (
            _state() | {"layers.0.weight": torch.zeros(32, 783)},
            ("layers.0.weight: shape [32, 783] found, expected [32, 784]",),
        ),
        (_state() | {"layers.1.weight": torch.zeros(60, 32, dtype=torch.int32)}, ("torch.int32",)),
        (_state() | {"layers.1.weight": torch.full((60, 32), torch.nan)}, ("infinity or NaN",)),
    ],
)
def test_wrong_names_shapes_and_values_are_named(
    state: dict[str, Tensor], parts: tuple[str, ...], tmp_path: Path
) -> None:
    file = _save(tmp_path / "net.safetensors", state)
    ran = run("init-base", "--bank", tmp_path / "bank", *SMALL, "--weights", file)
    assert ran.code == 2
    message = ran.err.splitlines()[0]
    for part in (str(file), *parts):
        assert part in message
    assert not (tmp_path / "bank").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    words = ("init-base", "--bank", tmp_path / "bank", *SMALL, "--weights")
    ran = run(*words, tmp_path / "gone.safetensors")
    assert (ran.code, "gone.safetensors: cannot be read" in ran.err) == (2, True)
    assert run(*words, tmp_path).code == 2
    (tmp_path / "text").write_text("no tensors")
    ran = run(*words, tmp_path / "text")
    assert (ran.code, "not a safetensors file" in ran.err) == (2, True)
    file = _save(tmp_path / "net.safetensors", _state())
    assert "expected one of the two" in run(*words, file, "--init", "kaiming-normal").err
    for extra in (("--new-head",), ("--arch", "resnet18-affine", "--input", "3x32x32")):
        ran = run("init-base", "--bank", tmp_path / "bank", *extra)
        assert (ran.code, "without --weights" in ran.err) == (2, True)


def test_other_floats_and_a_new_head(tmp_path: Path) -> None:
    state = _state()
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in state.items()}
    halves["layers.1.weight"] = torch.zeros(1000, 32, dtype=torch.bfloat16)
    halves["layers.1.bias"] = torch.zeros(1000)
    file = _save(tmp_path / "net.safetensors", halves)
    words = (*SMALL, "--weights", file, "--new-head", "--seed", 3)
    assert run("init-base", "--bank", tmp_path / "bank", *words).code == 0
    base = Bank.open(tmp_path / "bank").base()
    assert (base["layers.0.weight"] == halves["layers.0.weight"].float().numpy()).all()
    head = kaiming_normal(SHAPES["layers.1.weight"], seed=3, name="layers.1.weight")
    assert (base["layers.1.weight"] == head.numpy()).all()


def test_a_lost_base_is_not_made_from_the_seed(tmp_path: Path) -> None:
    file = _save(tmp_path / "net.safetensors", _state())
    bank = tmp_path / "bank"
    assert run("init-base", "--bank", bank, *SMALL, "--weights", file).code == 0
    (bank / "base.safetensors").unlink()
    ran = run("verify", "--bank", bank, "--repair", "--json")
    assert ran.code == 5
    assert "--weights FILE.safetensors" in ran.out
    assert run("init-base", "--bank", bank, *SMALL, "--weights", file).code == 0
    assert run("verify", "--bank", bank).code == 0


def test_a_torchvision_network_gives_its_own_logits(tmp_path: Path) -> None:
    stream = torch.Generator().manual_seed(0)
    network = torchvision.models.resnet18(num_classes=20)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=stream) * 0.1)
        if name.endswith(("bn1.weight", "running_var")):
            tensor.add_(0.8)
    network.fc.bias.data.zero_()
    state = network.eval().state_dict()
    file = _save(tmp_path / "net.safetensors", state)
    shape = ("--input", "3x32x32", "--outputs", 20, "--weights", file)
    refused = run("init-base", "--bank", tmp_path / "bank", "--arch", "resnet18-affine", *shape)
    assert "1 unknown (fc.bias)" in refused.err
    theirs = answer("init-base", "--bank", tmp_path / "theirs", "--arch", "resnet18", *shape)
    assert theirs["arch"] == "torchvision/resnet18"
    _save(file, _without(state, "fc.bias"))
    made = ("init-base", "--bank", tmp_path / "bank", "--arch", "resnet18-affine", *shape)
    assert run(*made).code == 0
    net = open_network(tmp_path / "bank", "cpu")
    masks = {name: torch.ones(shape) for name, shape in net.layout.shapes.items()}
    assert not any("bn" in name for name in masks)
    statistics = {name: one for name, one in state.items() if name.endswith(("_mean", "_var"))}
    images = torch.rand(4, 3, 32, 32, generator=stream)
    logits = masked_forward(net.network, masks | statistics, images)
    with torch.no_grad():
        assert torch.allclose(logits, network(images), rtol=1e-4, atol=1e-4)


def _train(tasks: tuple[str, ...], steps: int) -> dict[str, Tensor]:
    """Train an mlp-64 on several tasks, each with outputs of its own, in plain PyTorch."""
    network = build_network(NetworkSpec("mlp-64", (1, 28, 28), 60))
    first = {
        name: kaiming_normal(tuple(one.shape), seed=1, name=name).numpy()
        for name, one in network.named_parameters()
    }
    freeze(network, first, torch.device("cpu"))
    network.requires_grad_(True).train()
    data = [load(name, (1, 28, 28)).train for name in tasks]
    rule = torch.optim.Adam(network.parameters(), 2e-3)
    draws = np.random.RandomState(0)
    for step in range(steps):
        number = step % len(tasks)
        here = draws.randint(len(data[number]), size=128)
        pixels = torch.from_numpy(data[number].images[here]).float()
        labels = torch.from_numpy(data[number].labels[here]) + 10 * number
        loss = F.cross_entropy(network((pixels / 255 - 0.1307) / 0.3081), labels)
        rule.zero_grad()
        loss.backward()
        rule.step()
    return {name: one.detach() for name, one in network.named_parameters()}


def test_masks_over_a_trained_base_beat_masks_over_a_random_one(tmp_path: Path) -> None:
    file = _save(tmp_path / "net.safetensors", _train(("mnist-rot-0", "mnist-rot-60"), 300))
    accuracies = {}
    for name, more in (("random", ()), ("trained", ("--weights", file))):
        bank = tmp_path / name
        shape = ("--arch", "mlp-64", "--outputs", 60)
        assert run("init-base", "--bank", bank, *shape, *more).code == 0
        words = ("--data", "mnist-rot-30", "--data", "mnist-rot-15", "--steps", 60)
        learned = answer("learn-task", "--bank", bank, *words)["tasks"]
        accuracies[name] = [one["accuracy"] for one in learned]
    for random, trained in zip(accuracies["random"], accuracies["trained"], strict=True):
        assert trained > random + 0.02
