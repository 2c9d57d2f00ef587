"""What `init-base` is asked to make."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Instead of a file: the weights that a network's library publishes.
IMAGENET: Final = Path("imagenet")
# Defaults of supsup's own networks.
_SHAPE: Final = (1, 28, 28)
_OUTPUTS: Final = 500


@dataclass(frozen=True)
class BaseRequest:
    """What the user asks the base network to be.

    Attributes:
        arch: see `build_network`; for torchvision's networks the plain name is enough.
        input_shape: (C, H, W); None is 1 x 28 x 28, or what a library's weights were trained on.
        outputs: including superfluous ones; None is 500, or for a library's network the real ones,
            because its tasks have last layers of their own.
        real_outputs: outputs that may be classes.
        seed: for all random draws.
        init: how weights are drawn; "" for signed-constant, or if `weights` has them.
        weights: safetensors file of a trained network, a folder as the hub has it, or
            `IMAGENET`; None draws the weights.
        new_head: whether to draw the last layer although there are weights.
    """

    arch: str
    input_shape: tuple[int, int, int] | None
    outputs: int | None
    real_outputs: int
    seed: int
    init: str
    weights: Path | None = None
    new_head: bool = False

    @property
    def own_shape(self) -> tuple[int, int, int]:
        """Input shape of supsup's own network: as asked for, else MNIST's."""
        return _SHAPE if self.input_shape is None else self.input_shape

    @property
    def own_outputs(self) -> int:
        """Outputs of supsup's own network: as asked for, else 500."""
        return _OUTPUTS if self.outputs is None else self.outputs
