"""Read trained weights of a torchvision or timm network from a file or folder."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bank_format.kinds.bank_json import InputRecord
from supsup_cli.core.networks.library import ExpectedInput
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.bank.pretrained import (
    Shapes,
    WeightsFile,
    listed,
    values,
    weights_in,
)

IN_FOLDER = "model.safetensors"
_CONFIG = "config.json"
_LARGEST_CONFIG = 2**20  # bytes
# A network with a convolution as classifier is wrapped here, but not in its file.
_WRAPPED = "body."
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class LibraryWeights:
    """What was read from a file.

    Attributes:
        weights: name → float32, for every name that was asked for.
        sha256: of the file, 64 hex digits.
        left_over: sorted names of unused tensors, such as the classifier's.
    """

    weights: Mapping[str, NDArray[np.float32]]
    sha256: str
    left_over: tuple[str, ...]


def weights_file(given: Path) -> Path:
    """Find the file of weights: the given one, or that of a folder as the hub has it.

    Raises:
        NoInputError: the folder has none.
    """
    if not given.is_dir():
        return given
    file = given / IN_FOLDER
    if not file.is_file():
        others = sorted(given.glob("*.safetensors"))
        raise NoInputError(
            f"{given}: no {IN_FOLDER} found, expected one in a folder of weights",
            hint=f"name the file: --weights {shlex.quote(str(others[0]))}" if others else "",
        )
    return file


def folder_input(given: Path, expected: ExpectedInput) -> ExpectedInput:
    """Read from a hub folder's config.json which images its weights expect.

    Args:
        given: a folder, or a file, which has no config.json.
        expected: what the library says of the architecture, used if the folder says nothing.

    Raises:
        UsageError: the file is not JSON as the hub has it, or no images are as its numbers say.
    """
    path = given / _CONFIG
    if not given.is_dir() or not path.is_file():
        return expected
    try:
        with path.open("rb") as opened:
            text = opened.read(_LARGEST_CONFIG)
        stated = json.loads(text).get("pretrained_cfg", {})
        if "mean" in stated and "std" in stated:
            mean, std = (tuple(map(float, stated[key])) for key in ("mean", "std"))
            expected = replace(expected, mean=mean, std=std)
        if "input_size" in stated:
            channels, height, width = map(int, stated["input_size"])
            expected = replace(expected, shape=(channels, height, width))
        # refused here, where the file can be named
        InputRecord(expected.shape, "cover-bilinear", expected.mean, expected.std)
    except OSError as error:
        raise NoInputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path}: {error}, expected a config.json as the hub has it") from error
    return expected


def read_library_file(file: Path, shapes: Shapes) -> LibraryWeights:
    """Read a network's weights from a safetensors file; check every name and shape.

    Args:
        file: its state dict, with or without the classifier.
        shapes: name → shape of all `base_tensors`.

    Raises:
        NoInputError: the file cannot be read.
        UsageError: it is not a safetensors file, or its names, shapes, types or values are wrong.
    """
    with weights_in(file) as found:
        return _taken(str(file), found, shapes)


def from_state(
    source: str, digest: str, state: Mapping[str, Tensor], shapes: Shapes
) -> LibraryWeights:
    """Take a network's weights from a state dict in memory; see `read_library_file`."""
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return _taken(source, WeightsFile(found, state.__getitem__, digest), shapes)


def _taken(source: str, file: WeightsFile, shapes: Shapes) -> LibraryWeights:
    found = file.shapes
    places = {name: name.removeprefix(_WRAPPED) for name in shapes}
    if set(shapes) <= set(found):
        places = {name: name for name in shapes}
    missing = [place for place in places.values() if place not in found]
    if missing:
        raise UsageError(
            f"{source}: {len(missing)} of the {len(shapes)} tensors of the architecture missing "
            f"({listed(missing)}), {len(found)} others found",
            hint="supsup init-base --arch NAME, with the library's name of the network that these "
            "weights belong to",
        )
    different = [name for name, place in places.items() if found[place] != shapes[name]]
    if different:
        shown = "; ".join(
            f"{places[name]}: shape {list(found[places[name]])} found, expected "
            f"{list(shapes[name])}"
            for name in different[:_NAMED_AT_MOST]
        )
        raise UsageError(
            f"{source}: {shown}",
            hint="--arch and --input decide the shapes; leave --input out for the size that the "
            "network was trained with",
        )
    weights = {name: values(source, place, file.tensor(place)) for name, place in places.items()}
    left = tuple(sorted(set(found) - set(places.values())))
    return LibraryWeights(weights, file.sha256, left)
