"""`tasks export`: a task as a separate network gives the bank's logits."""

import builtins
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional as F

from bank_format.bank import Bank
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.workflows.opening import open_tasks
from tests.support.commands import SMALL, answer, learn, make_class_folder, run


def _images(shape: tuple[int, ...], count: int = 7) -> NDArray[np.uint8]:
    return np.random.RandomState(0).randint(0, 256, (count, *shape)).astype(np.uint8)


def _logits(bank: Path, task: str, images: NDArray[np.uint8]) -> torch.Tensor:
    opened = open_tasks(bank, "cpu", [task])
    inputs = opened.net.pixels(torch.from_numpy(images))
    return masked_forward(opened.net.network, opened.stack.masks(0), inputs)


def _export(bank: Path, task: str, file: Path, *words: object) -> dict[str, Any]:
    (one,) = answer("tasks", "export", task, file, *words, "--bank", bank)["tasks"]
    assert isinstance(one, dict)
    return one


def _by_hand(file: Path, images: NDArray[np.uint8]) -> torch.Tensor:
    """Run an exported perceptron with PyTorch alone, following the metadata."""
    with safe_open(file, framework="pt") as opened:
        spec = json.loads(opened.metadata()["supsup"])
    mean, std = (torch.tensor(spec["input"][key])[:, None, None] for key in ("mean", "std"))
    values = ((torch.from_numpy(images) / 255 - mean) / std).flatten(1)
    layers = list(load_file(file).values())
    for weights in layers[:-1]:
        values = F.relu(values @ weights.T)
    return values @ layers[-1].T


def _run_onnx(file: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(file.read_bytes())
    (logits,) = session.run(["logits"], {"images": images})
    return np.asarray(logits)


def _close(logits: object, expected: torch.Tensor) -> bool:
    return bool(np.abs(np.asarray(logits) - expected.numpy()).max() <= 1e-4)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with a dense, a sparse and a combined task."""
    bank = tmp_path_factory.mktemp("export") / "bank"
    assert run("init-base", "--bank", bank, *SMALL).code == 0
    learn(bank, "mnist-perm-0")
    learn(bank, "mnist-perm-1", more=("--density", 0.1))
    more = ("--name", "mixed", "--combine", 0.2)
    assert learn(bank, "mnist-perm-0", more=more)[0]["kind"] == "combination"
    return bank


@pytest.mark.parametrize("task", ["mnist-perm-0", "mnist-perm-1", "mixed"])
def test_a_state_dict_gives_the_banks_logits(task: str, tasks: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    told = _export(tasks, task, file)
    assert (told["status"], told["form"], told["bytes"]) == (
        "exported",
        "safetensors",
        file.stat().st_size,
    )
    images = _images((1, 28, 28))
    assert _close(_by_hand(file, images), _logits(tasks, task, images))
    content = Bank.open(tasks).read_task(task)
    with safe_open(file, framework="pt") as opened:
        spec = json.loads(opened.metadata()["supsup"])
    assert spec["content_sha256"] == content.content_sha256 == told["content_sha256"]
    assert [one["output"] for one in spec["classes"]] == list(range(10))


def test_exporting_again_finds_equal_bytes_and_overwrites_nothing(
    tasks: Path, tmp_path: Path
) -> None:
    file = tmp_path / "net.safetensors"
    assert _export(tasks, "mnist-perm-0", file, "--dry-run")["status"] == "would-export"
    assert not file.exists()
    for name in ("net.safetensors", "net.onnx"):
        file = tmp_path / name
        assert _export(tasks, "mnist-perm-0", file)["status"] == "exported"
        digest = hashlib.sha256(file.read_bytes()).digest()
        assert _export(tasks, "mnist-perm-0", file)["status"] == "exists"
        assert hashlib.sha256(file.read_bytes()).digest() == digest
    file = tmp_path / "net.safetensors"
    ran = run("tasks", "export", "mnist-perm-1", file, "--bank", tasks)
    assert (ran.code, str(file) in ran.err) == (11, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.safetensors"]


def test_onnx_takes_bytes_and_names_no_place_of_this_machine(tasks: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    assert _export(tasks, "mnist-perm-1", file)["form"] == "onnx"
    for count in (1, 5):
        images = _images((1, 28, 28), count)
        assert _close(_run_onnx(file, images), _logits(tasks, "mnist-perm-1", images))
    model = onnx.load(file)
    onnx.checker.check_model(model)
    spec = json.loads({one.key: one.value for one in model.metadata_props}["supsup"])
    assert spec["task"] == "mnist-perm-1"
    assert b".py" not in file.read_bytes()


@pytest.mark.parametrize("arch", ["conv-4", pytest.param("gem-resnet18", marks=pytest.mark.slow)])
def test_convolution_nets_bring_their_statistics(arch: str, tmp_path: Path) -> None:
    bank, folder = tmp_path / "bank", make_class_folder(tmp_path / "rows", {"top": 0, "low": 18})
    shape = ("--arch", arch, "--input", "3x20x20", "--outputs", 30)
    assert run("init-base", "--bank", bank, *shape).code == 0
    learn(bank, folder, steps=3, more=("--batch-size", 16))
    images = _images((3, 20, 20))
    expected = _logits(bank, "rows", images)
    _export(bank, "rows", tmp_path / "net.onnx")
    assert _close(_run_onnx(tmp_path / "net.onnx", images), expected)
    _export(bank, "rows", tmp_path / "net.safetensors")
    network = open_tasks(bank, "cpu").net
    state = load_file(tmp_path / "net.safetensors")
    assert any(name.endswith("running_var") for name in state)
    network.network.load_state_dict(state, strict=True)
    with torch.no_grad():
        logits = network.network(network.pixels(torch.from_numpy(images)))
    assert _close(logits, expected)


def test_without_onnx_the_hint_says_what_to_install(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "onnx":
            raise ImportError("No module named 'onnx'", name="onnx")
        return known(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    ran = run("tasks", "export", "mnist-perm-0", tmp_path / "net.onnx", "--bank", tasks)
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    message, hint = ran.err.splitlines()
    assert "package onnx not found" in message
    assert "pip install 'supsup[onnx]'" in hint
