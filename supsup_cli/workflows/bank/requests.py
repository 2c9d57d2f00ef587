"""What `init-base` is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# In place of a file: the weights that a network's library publishes.
IMAGENET: Final = Path("imagenet")
# Of supsup's own networks.
_SHAPE: Final = (1, 28, 28)
_OUTPUTS: Final = 500


@dataclass(frozen=True)
class BaseRequest:
    """What the user asks the base network to be.

    Attributes:
        arch: see `build_network`; of torchvision's networks the name alone will do.
        input_shape: (C, H, W); None is 1 x 28 x 28, or what a library's weights were trained on.
        outputs: superfluous ones included; None is 500, or over a library's network, whose tasks
            have last layers of their own, as many as are real.
        real_outputs: those that may be classes.
        seed: of whatever is drawn.
        init: how weights are drawn, "" for signed-constant or where `weights` has them.
        weights: safetensors file of a network trained elsewhere, a folder as the hub has it, or
            `IMAGENET`; None draws the weights.
        new_head: whether the last layer is drawn although there are weights.
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
        """What one of supsup's own networks takes: as asked for, else MNIST's."""
        return _SHAPE if self.input_shape is None else self.input_shape

    @property
    def own_outputs(self) -> int:
        """Outputs of one of supsup's own networks: as asked for, else 500."""
        return _OUTPUTS if self.outputs is None else self.outputs
