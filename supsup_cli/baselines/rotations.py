"""Parameter superposition, PSP (Cheung, Terekhov, Chen, Agrawal & Olshausen 2019)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.baselines.method import Tensors
from supsup_cli.baselines.networks import Base, begun, edge_layers, signs, xavier
from supsup_cli.core.seeds import generator


class InContext(nn.Module):
    """A layer that sees its inputs in a task's context: y = W (C x).

    Args:
        layer: linear, or a convolution; its channels are rotated in the same way at every position.
    """

    context: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("context", torch.empty(0, device="meta"))

    def forward(self, values: Tensor) -> Tensor:
        """Put (B, …) inputs into the context, then through the layer."""
        linear = isinstance(self.layer, nn.Linear)
        moved = values if linear else values.movedim(1, -1)
        one_by_one = self.context.dim() == 1
        turned = moved * self.context if one_by_one else F.linear(moved, self.context)
        logits: Tensor = self.layer(turned if linear else turned.movedim(-1, 1))
        return logits


def random_rotation(size: int, stream: torch.Generator) -> Tensor:
    """Draw an orthogonal matrix evenly from all of them (Stewart 1980): (size, size) float32.

    The Q of a Gaussian matrix, its columns' signs chosen so that R has a positive diagonal.
    """
    gaussian = torch.randn(size, size, generator=stream, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    turned: Tensor = q * r.diagonal().sign()
    return turned.float()


class Superposition:
    """All tasks in one network, each in its own contexts, drawn from a seed (section 2).

    With rotations C is a random orthogonal matrix a layer and task (section 2.3); with signs, its
    binary form, a diagonal of ±1 (section 2.2).

    Args:
        base: the network of the comparison.
        outputs: of this one.
        binary: signs in place of rotations.
    """

    own_head = False
    keeps_shared = True

    def __init__(self, base: Base, outputs: int, *, binary: bool = False) -> None:
        plain = base.network(outputs)
        first = begun(base, plain) if base.trained else xavier(base, plain)
        self.network = base.network(outputs)
        self._layers = tuple(edge_layers(self.network))
        inner: dict[str, str] = {}
        for name in self._layers:
            self.network.set_submodule(name, InContext(self.network.get_submodule(name)))
            inner |= {
                f"{name}.{end}": f"{name}.layer.{end}"
                for end, _ in plain.get_submodule(name).named_parameters()
            }
        self._first = {inner.get(name, name): values for name, values in first.items()}
        self._base = base
        self._binary = binary
        self._contexts: dict[str, Tensors] = {}

    def shared(self) -> Tensors:
        """Return the weights of the one network."""
        return dict(self._first)

    def own(self, _task: str, _classes: int) -> Tensors:
        """Return nothing: contexts come from the seed."""
        return {}

    def learns_shared(self, first: bool) -> bool:
        """Return True: the one network always learns."""
        return True

    def weights(self, shared: Tensors, _own: Tensors, task: str) -> Tensors:
        """Put the contexts of a task beside the weights."""
        if task not in self._contexts:
            self._contexts[task] = {
                f"{layer}.context": self._context(task, layer) for layer in self._layers
            }
        return shared | self._contexts[task]

    def _context(self, task: str, layer: str) -> Tensor:
        size = self._inputs(layer)
        if self._binary:
            return signs(size, self._base, "psp", task, layer)
        stream = generator(self._base.seed, "psp", task, layer)
        return random_rotation(size, stream).to(self._base.device)

    def _inputs(self, layer: str) -> int:
        module = self.network.get_submodule(f"{layer}.layer")
        groups = module.groups if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) else 1
        return int(self.network.get_parameter(f"{layer}.layer.weight").shape[1]) * groups
