"""A network in two parts: below the first masked layer, and above it.

The part below is the same under every mask. It runs once for each image, for all epochs of a task
and all tasks that an image is tried with.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from .head import Head

# The tensors that go from the lower part to the upper one, in order.
Between = tuple[Tensor, ...]


@dataclass(frozen=True)
class Parts:
    """Both parts of a frozen network; they share its parameters.

    Attributes:
        below: maps images to the upper part's inputs; None if there is no lower part.
        upper: maps those to logits, with the parameter names of the whole network.
    """

    below: nn.Module | None
    upper: nn.Module

    def lower(self, images: Tensor) -> Between:
        """Compute the values below every mask, once for each image.

        Args:
            images: (B, *input_shape) float32, normalised.

        Returns:
            tensors of B rows each.
        """
        if self.below is None:
            return (images,)
        with torch.no_grad():
            between: Between = self.below(images)
        return between

    def above(self, between: Between, values: Mapping[str, Tensor]) -> Tensor:
        """Run the upper part: (B, O) float32 logits, or features if `values` has no head.

        Args:
            between: what `lower` returned.
            values: parameter name → W ⊙ M; buffer name → the task's own.
        """
        answer: Tensor = functional_call(self.upper, dict(values), between)
        return answer


class _Tracer(fx.Tracer):
    """Traces a network's operations; layers that a task may replace stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Head) or super().is_leaf_module(m, module_qualified_name)


def traced(network: nn.Module) -> fx.Graph | None:
    """Trace a network's operations; None if they depend on its values."""
    try:
        return _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError):
        return None


def in_parts(network: nn.Module, masked: Collection[str], example: Tensor) -> Parts:
    """Split a network below the first operation with a masked parameter.

    Args:
        network: frozen network, in evaluation mode.
        masked: names of the parameters that masks cover.
        example: (2, *input_shape) float32, on the network's device.

    Returns:
        both parts; the whole network is the upper part if its operations cannot be traced.
    """
    whole = Parts(None, network)
    graph = traced(network)
    if graph is None:
        return whole
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        return whole
    seen = _Rows(fx.GraphModule(network, graph), len(example))
    with torch.no_grad():
        seen.run(example)
    late = _late(graph, network, frozenset(masked))
    of_images = _after(graph, set(inputs))
    while True:
        between = [
            node
            for node in graph.nodes
            if node not in late and any(user in late for user in node.users)
        ]
        # Values without a row for each image, such as sizes, are computed again above.
        again = [node for node in between if node not in of_images or node not in seen.rows]
        if not again:
            break
        late.update(again)
    if not between or inputs[0] in between:
        return whole
    return Parts(_lower_part(graph, network, between), _upper_part(graph, network, between, late))


class _Rows(fx.Interpreter):
    """Run a network, and note which operations return a tensor with a row for each image."""

    def __init__(self, module: fx.GraphModule, images: int) -> None:
        super().__init__(module)
        self._images = images
        self.rows: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.shape[:1] == (self._images,):
            self.rows.add(n)
        return value


def _after(graph: fx.Graph, begun: set[fx.Node]) -> set[fx.Node]:
    """Add all operations that depend on given ones."""
    for node in graph.nodes:
        if any(one in begun for one in node.all_input_nodes):
            begun.add(node)
    return begun


def _late(graph: fx.Graph, network: nn.Module, masked: frozenset[str]) -> set[fx.Node]:
    """Find the operations that depend on a masked parameter or on a task's head."""
    touched: set[fx.Node] = set()
    for node in graph.nodes:
        touches = node.op == "output" or (node.op == "get_attr" and node.target in masked)
        if node.op == "call_module":
            module = network.get_submodule(str(node.target))
            names = (f"{node.target}.{name}" for name, _ in module.named_parameters())
            touches = isinstance(module, Head) or any(name in masked for name in names)
        if touches:
            touched.add(node)
    return _after(graph, touched)


def _lower_part(graph: fx.Graph, network: nn.Module, between: list[fx.Node]) -> nn.Module:
    needed = set(between)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    made, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in graph.nodes:
        if node in needed:
            copies[node] = made.node_copy(node, lambda one: copies[one])
    made.output(tuple(copies[node] for node in between))
    return fx.GraphModule(network, made)


def _upper_part(
    graph: fx.Graph, network: nn.Module, between: list[fx.Node], late: set[fx.Node]
) -> nn.Module:
    made, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for place, node in enumerate(between):
        copies[node] = made.placeholder(f"between_{place}")
    for node in graph.nodes:
        if node in late:
            copies[node] = made.node_copy(node, lambda one: copies[one])
    return fx.GraphModule(network, made)
