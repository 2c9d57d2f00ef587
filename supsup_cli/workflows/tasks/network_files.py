"""Write one task's network without the bank: a plain state dict in safetensors, or ONNX.

A safetensors export has W ⊙ M in place of each masked weight (and the gain of a sparse mask), every
other parameter as it is, and the task's statistics, all float32 under the names of the module's
state dict. Its metadata has one key, `supsup`: canonical JSON that describes the network. An ONNX
export also normalises pixels: it takes `images`, uint8 (N, C, H, W) as decoded from files, and
returns `logits`, float32 (N, outputs).
"""

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from bank_format.encoding.canonical_json import Json, canonical
from bank_format.encoding.strict_json import to_json
from bank_format.kinds.mask import Task
from supsup_cli.core.images import Pixels
from supsup_cli.core.masks.superposition import effective_weights
from supsup_cli.core.networks.adapter import base_tensors
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze
from supsup_cli.errors import UsageError
from supsup_cli.workflows.opening import open_tasks

_OPSET = 20
_INSTALL = "pip install 'supsup[onnx]'"


@dataclass(frozen=True)
class TaskNetwork:
    """The network of a single task.

    Attributes:
        state: name → float32, parameters and statistics.
        spec: description of the network, as JSON.
        module: in evaluation mode, with that state.
        pixels: turns bytes into its input.
        input_shape: (C, H, W).
    """

    state: dict[str, Tensor]
    spec: Json
    module: nn.Module
    pixels: Pixels
    input_shape: tuple[int, int, int]


def open_task_network(path: Path, task: Task) -> TaskNetwork:
    """Put a task's mask and statistics into the bank's network, on the CPU.

    Raises:
        BankError: the bank or the task cannot be read.
    """
    content = task.content
    opened = open_tasks(path, "cpu", [content.task])
    net, record = opened.net, opened.net.bank.record
    # The open network may have folded normalisation; the file must have what the library expects.
    module = build_network(NetworkSpec(record.arch, record.input.shape, record.outputs))
    freeze(module, net.bank.base(), torch.device("cpu"))
    own = effective_weights(module, opened.stack.masks(0))
    base = base_tensors(module)
    state = {name: one.detach() for name, one in base.items()} | own
    freeze(module, {name: state[name].numpy() for name in base}, torch.device("cpu"))
    for name in own.keys() - base.keys():  # its statistics, or its last layer
        place, _, buffer = name.rpartition(".")
        module.get_submodule(place).register_buffer(buffer, own[name])
    spec: Json = {
        "format": "supsup-network",
        "version": 1,
        "arch": record.arch,
        "input": to_json(record.input),
        "outputs": record.outputs,
        "classes": to_json(content.classes),
        "task": content.task,
        "base_sha256": record.base_sha256,
        "content_sha256": task.content_sha256,
    }
    return TaskNetwork(state, spec, module, net.pixels, record.input.shape)


def safetensors_bytes(network: TaskNetwork) -> bytes:
    """Write the state dict; equal tasks give equal bytes."""
    arrays = {name: np.ascontiguousarray(one.numpy()) for name, one in network.state.items()}
    return save(arrays, metadata={"supsup": canonical(network.spec).decode()})


class _FromBytes(nn.Module):
    """A network that normalises its pixels first."""

    def __init__(self, network: TaskNetwork) -> None:
        super().__init__()
        self.network = network.module
        self.pixels = network.pixels

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) uint8 to logits (N, O) float32."""
        logits: Tensor = self.network(self.pixels(images))
        return logits


def onnx_bytes(network: TaskNetwork) -> bytes:
    """Write an ONNX model, opset 20, for any number of images; equal tasks give equal bytes.

    Raises:
        UsageError: a package that it needs is missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - what torch.onnx needs
    except ImportError as error:
        raise UsageError(
            f".onnx: package {error.name} not found, expected onnx and onnxscript", hint=_INSTALL
        ) from error
    example = torch.zeros(2, *network.input_shape, dtype=torch.uint8)
    # it prints its progress on both streams
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _FromBytes(network).eval(),
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        )
    if program is None:
        raise ValueError("torch.onnx.export gave no program")
    model = program.model_proto
    for node in model.graph.node:  # names of source files on this machine
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"supsup": canonical(network.spec).decode()})
    written: bytes = model.SerializeToString(deterministic=True)
    return written
