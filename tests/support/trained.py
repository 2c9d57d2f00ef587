"""Networks of torchvision with drawn weights, in files like those of trained networks."""

from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

# One network of each family, and the side of images that it takes.
FAMILIES = {
    "alexnet": 64,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 224,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_y_400mf": 64,
    "resnet34": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vgg11": 64,
    "vit_b_32": 224,
    "wide_resnet50_2": 64,
}
SMALL_FAMILIES = ("mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1")


def library_network(name: str, classes: int = 20) -> nn.Module:
    """Build one with drawn weights, in evaluation mode, from its own random stream."""
    own = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, num_classes=classes, **own
        )
    if own:
        network.transform_input = True
    return network.eval()


def save_library_network(name: str, file: Path) -> nn.Module:
    """Write the state dict of one as a safetensors file, and return it."""
    network = library_network(name)
    save_file({key: one.contiguous() for key, one in network.state_dict().items()}, file)
    return network


def photo_folder(folder: Path, classes: tuple[str, ...], side: int, each: int = 12) -> Path:
    """Write coloured images of some classes, each with its own brightness and stripe."""
    noise = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for place in range(each):
            pixels = noise.integers(0, 80, (side, side, 3), dtype=np.uint8)
            start = number * side // len(classes)
            pixels[start : start + side // len(classes), :, number % 3] += 170
            Image.fromarray(pixels).save(folder / name / f"{place:03d}.png")
    return folder
