"""BatchEnsemble over tasks (Wen, Tran & Ba 2020, section 3.2, "lifelong learning")."""

from torch import Tensor, nn

from supsup_cli.baselines.method import Tensors
from supsup_cli.baselines.networks import Base, begun, edge_layers, signs

_IN, _OUT = "/in", "/out"


class BatchEnsemble:
    """Shared weights from the first task, and for each task a rank-one factor per layer.

        Wₜ = W ⊙ sₜ rₜᵀ

    W learns with the first task's factors and is frozen afterwards. Factors start as ±1.

    Attributes:
        layers: linear and convolution layers by name.

    Args:
        base: the network of the comparison.
        outputs: of this one.
    """

    own_head = False
    keeps_shared = True

    def __init__(self, base: Base, outputs: int) -> None:
        self.network = base.network(outputs)
        self._base = base
        self.layers = edge_layers(self.network)

    def shared(self) -> Tensors:
        """Return the weights W."""
        return begun(self._base, self.network)

    def own(self, task: str, _classes: int) -> Tensors:
        """Return a task's factors: layer/in → r (inputs,), layer/out → s (outputs,)."""
        factors = {}
        for layer in self.layers:
            outputs, inputs = self.network.get_parameter(f"{layer}.weight").shape[:2]
            for end, size in ((_IN, inputs), (_OUT, outputs)):
                factors[layer + end] = signs(size, self._base, "batche", task, layer + end)
        return factors

    def learns_shared(self, first: bool) -> bool:
        """Return whether W learns: only in the first task."""
        return first

    def weights(self, shared: Tensors, own: Tensors, _task: str) -> Tensors:
        """Multiply W by a task's factors."""
        made = dict(shared)
        for layer in self.layers:
            name = f"{layer}.weight"
            made[name] = shared[name] * self.factor(own, layer)
        return made

    def factor(self, own: Tensors, layer: str) -> Tensor:
        """Return s rᵀ of a layer in the shape that multiplies its weights."""
        product = own[layer + _OUT][:, None] * own[layer + _IN]
        return product.view(*product.shape, *(1,) * (self._dimensions(layer) - 2))

    def ends(self, own: Tensors, layer: str) -> tuple[Tensor, Tensor]:
        """Return r, repeated for each group of a grouped convolution, and s of a layer."""
        module = self.layers[layer]
        groups = module.groups if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) else 1
        return own[layer + _IN].repeat(groups), own[layer + _OUT]

    def _dimensions(self, layer: str) -> int:
        return self.network.get_parameter(f"{layer}.weight").dim()
