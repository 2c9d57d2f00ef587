"""`init-base` over networks of torchvision and timm: what is accepted, and every error."""

import builtins
import hashlib
import http.server
import json
import math
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bank_format.bank import Bank
from supsup_cli.workflows.bank import published_weights
from tests.support.commands import answer, run
from tests.support.trained import library_network, save_library_network

NAME = "mobilenet_v3_small"
ARCH = ("--arch", NAME, "--input", "3x64x64")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_library_network(NAME, path)
    return path


def _made(tmp_path: Path, *words: object) -> dict[str, Any]:
    return answer("init-base", "--bank", tmp_path / "bank", *words)


def _refused(tmp_path: Path, *words: object) -> str:
    """Run a command that must be refused as usage, with nothing written; return its message."""
    ran = run("init-base", "--bank", tmp_path / "bank", *words)
    assert ran.code == 2, ran
    assert ran.out == ""
    assert not (tmp_path / "bank").exists()
    told = ran.err.splitlines()
    assert len(told) <= 2
    return ran.err


def test_a_network_of_torchvision_is_taken_whole(tmp_path: Path, file: Path) -> None:
    words = (*ARCH, "--weights", file)
    made = _made(tmp_path, *words)
    state = load_file(file)
    assert made["arch"] == f"torchvision/{NAME}"
    assert (made["outputs"], made["drawn"]) == (10, 0)
    left = {name for name in state if "num_batches" in name or name.startswith("classifier.3")}
    assert set(made["left_over"]) == left
    assert made["taken"] == len(state) - len(left)
    record = Bank.open(tmp_path / "bank").record
    assert record.init == "weights"
    assert record.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record.input.mean == (0.485, 0.456, 0.406)
    base = Bank.open(tmp_path / "bank").base()
    assert all((array == state[name].numpy()).all() for name, array in base.items())
    assert _made(tmp_path, *words)["status"] == "exists"
    assert answer("verify", "--bank", tmp_path / "bank")["ok"]
    told = run("init-base", "--bank", tmp_path / "bank", *words).err
    assert f"{made['taken']} tensors taken, none drawn, {len(left)} left over" in told


def test_a_folder_of_the_hub_says_how_images_enter(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(file.read_bytes())
    stated = {"pretrained_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3, "input_size": [3, 96, 96]}}
    (folder / "config.json").write_text(json.dumps(stated))
    _made(tmp_path, "--arch", NAME, "--weights", folder)
    record = Bank.open(tmp_path / "bank").record
    assert (record.input.shape, record.input.std) == ((3, 96, 96), (0.25,) * 3)
    wrong = (
        {"mean": [0.5], "std": [0.25]},
        {"mean": [0.5] * 3, "std": [0.25, 0, 1]},
        {"mean": [math.nan] * 3, "std": [0.25] * 3},
        {"input_size": [3, 10**7, 96]},
        {"input_size": [3, math.inf, 96]},
    )
    for text in ("[]", *(json.dumps({"pretrained_cfg": one}) for one in wrong)):
        (folder / "config.json").write_text(text)
        told = _refused(tmp_path / "other", "--arch", NAME, "--weights", folder)
        assert "config.json" in told
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    assert "no model.safetensors found" in _refused(
        tmp_path / "other", "--arch", NAME, "--weights", folder
    )


def test_yesterdays_plain_resnet_gives_the_equal_bank(tmp_path: Path) -> None:
    network = library_network("resnet18", 20)
    state = {
        name: one
        for name, one in network.state_dict().items()
        if "bn" not in name and "downsample.1" not in name and name != "fc.bias"
    }
    plain = tmp_path / "plain.safetensors"
    save_file(state, plain)
    shape = ("--arch", "resnet18", "--input", "3x32x32", "--outputs", 20)
    assert _made(tmp_path, *shape, "--weights", plain)["arch"] == "resnet18"
    whole = tmp_path / "whole.safetensors"
    save_library_network("resnet18", whole)
    made = answer("init-base", "--bank", tmp_path / "new", *shape, "--weights", whole)
    assert made["arch"] == "torchvision/resnet18"
    drawn = answer("init-base", "--bank", tmp_path / "drawn", *shape)
    assert (drawn["arch"], drawn["taken"]) == ("resnet18", 0)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--arch", NAME), ("without --weights", f"--arch torchvision/{NAME} --weights imagenet")),
        ((*ARCH, "--weights", "gone.safetensors"), ("gone.safetensors: cannot be read",)),
        (("--arch", "mobilenet_v9", "--weights", "FILE"), ("unknown architecture",)),
        (("--arch", "timm/no-such", "--weights", "FILE"), ("no such network in timm",)),
        ((*ARCH, "--weights", "FILE", "--new-head"), ("--new-head with --arch",)),
        ((*ARCH, "--weights", "FILE", "--init", "kaiming-normal"), ("--init kaiming-normal with",)),
        ((*ARCH, "--weights", "FILE", "--outputs", "5"), ("1 ≤ real outputs ≤ outputs",)),
        (("--arch", "resnet34", "--weights", "FILE"), ("tensors of the architecture missing",)),
        (
            ("--arch", "mobilenet_v3_large", "--weights", "FILE"),
            ("106 of the 264 tensors of the architecture missing",),
        ),
        (("--arch", NAME, "--input", "1x64x64", "--weights", "FILE"), ("1 channels found",)),
        (
            ("--arch", "vit_b_16", "--input", "3x96x96", "--weights", "FILE"),
            ("--input 3x96x96: torchvision/vit_b_16 takes images of 3x224x224 alone",),
        ),
    ],
)
def test_what_cannot_be_served_is_one_line_and_a_hint(
    words: tuple[str, ...], parts: tuple[str, ...], tmp_path: Path, file: Path
) -> None:
    pytest.importorskip("timm")
    told = _refused(tmp_path, *(file if word == "FILE" else word for word in words))
    for part in parts:
        assert part in told


def test_a_pickle_and_half_a_file_are_told_how_to_be_converted(tmp_path: Path, file: Path) -> None:
    pickled = tmp_path / "net.pt"
    torch.save({"a": torch.zeros(2)}, pickled)
    half = tmp_path / "half.safetensors"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for one in (pickled, half):
        told = _refused(tmp_path, *ARCH, "--weights", one)
        assert f"{one}: not a safetensors file" in told
        assert "weights_only=True" in told


def test_without_timm_the_message_says_how_to_get_it(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "timm":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    told = _refused(tmp_path, "--arch", "timm/resnet18", "--weights", file)
    assert "package timm not found" in told
    assert "supsup[timm]" in told


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Ignore the line."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """Serve a folder on this machine, and make torch keep fetched files elsewhere."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    made = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Handler, directory=str(folder))
    )
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", folder
    made.shutdown()
    made.server_close()


def _publish(folder: Path, content: object, *, named_for: bytes | None = None) -> str:
    whole = folder / "whole.pth"
    torch.save(content, whole)
    data = whole.read_bytes()
    name = f"net-{hashlib.sha256(named_for or data).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(data)
    return name


def test_what_torchvision_publishes_is_fetched_and_its_hash_checked(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    name = _publish(folder, library_network(NAME).state_dict())
    monkeypatch.setattr(published_weights, "published_url", lambda _: f"{address}/{name}")
    words = (*ARCH, "--weights", "imagenet")
    made = _made(tmp_path, *words)
    assert made["arch"] == f"torchvision/{NAME}"
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert Bank.open(tmp_path / "bank").record.weights_sha256 == digest
    kept = tmp_path / "torch" / "hub" / "checkpoints" / name
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    opened: list[object] = []
    monkeypatch.setattr(torch, "load", lambda file, **_: opened.append(file))
    told = _refused(tmp_path / "other", *words)
    assert str(kept) in told
    assert opened == []  # what is not the published file is not even read as one


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


@pytest.mark.parametrize("case", ["another file", "a class", "no state", "gone"])
def test_another_file_than_the_published_one_is_refused(
    case: str,
    tmp_path: Path,
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address, folder = server
    content: object = {"another file": {"a": torch.zeros(1)}, "a class": _Hostile()}.get(case, [1])
    named_for = b"other" if case == "another file" else None
    name = _publish(folder, content, named_for=named_for)
    if case == "gone":
        name = "gone-00000000.pth"
    monkeypatch.setattr(published_weights, "published_url", lambda _: f"{address}/{name}")
    told = _refused(tmp_path, *ARCH, "--weights", "imagenet")
    assert name in told
    assert "executed" not in capfd.readouterr().out
    if case == "gone":
        assert "bring this file" in told
        assert "curl -LO" in told
