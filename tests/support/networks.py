"""Small networks and stacks for the tests of the core."""

import torch
from torch import Tensor, nn

from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.masks.masks import MaskLayout, Masks, MaskStack
from supsup_cli.core.networks.specs import masked_parameters


class TinyConvolution(nn.Module):
    """Two convolutions and two linear layers: a module that the package does not know."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 32, 5, stride=2, bias=False)
        self.second = nn.Conv2d(32, 32, 5, stride=2, bias=False)
        self.third = nn.Linear(32 * 4 * 4, 200, bias=False)
        self.head = nn.Linear(200, outputs, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        values = self.second(self.first(images).relu()).relu()
        logits: Tensor = self.head(self.third(values.flatten(1)).relu())
        return logits


def signed_constant(network: nn.Module, seed: int) -> nn.Module:
    """Freeze a module with the paper's weights: ± √(2 / fan_in)."""
    stream = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        signs = torch.randint(0, 2, parameter.shape, generator=stream) * 2 - 1
        parameter.data = signs * (2 / parameter[0].numel()) ** 0.5
    return network.requires_grad_(False).eval()


def finish(learning: Learning) -> Masks:
    """Take all steps: parameter name → bool of its shape."""
    while not learning.done:
        learning.advance()
    return learning.masks()


def layout_of(network: nn.Module) -> MaskLayout:
    names = masked_parameters(network)
    return MaskLayout({name: tuple(network.get_parameter(name).shape) for name in names})


def pack(masks: Masks, layout: MaskLayout) -> Tensor:
    """Pack one task's bool masks in the plainest way: eight shifted columns."""
    bits = layout.join({name: mask.to(torch.float32) for name, mask in masks.items()})
    places = 2 ** torch.arange(8)
    return (bits.view(-1, 8).to(torch.int64) * places).sum(1).to(torch.uint8)


def random_stack(layout: MaskLayout, tasks: int, seed: int, density: float = 0.5) -> MaskStack:
    stream = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(tasks):
        masks = {
            name: torch.rand(shape, generator=stream) < density
            for name, shape in layout.shapes.items()
        }
        rows.append(pack(masks, layout))
    return MaskStack(torch.stack(rows), layout)
