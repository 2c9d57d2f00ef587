"""Stop learning when held-out images fit no better; keep the best masks."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from supsup_cli.core.masks.masks import Masks

# Number of checks in all steps. Those in the first half are left out, because the rate is still
# high and a sparse mask still has too many weights.
_CHECKS = 20
_KEPT, _RECORD = "kept/", "kept"


class EarlyStopping:
    """The masks that fitted held-out images best at any check so far.

    There is a check after every twentieth of the steps, in the second half. It depends only on the
    steps, so that interrupted learning stops at the same step.

    Args:
        steps: of the recipe.
        patience: number of checks in a row without improvement that ends learning.

    Attributes:
        step: step of the best masks; 0 before the first check.
    """

    def __init__(self, steps: int, patience: int) -> None:
        self.step = 0
        self._steps = steps
        self._patience = patience
        self._failures = 0
        self._loss = math.inf
        self._masks: Masks = {}

    def due(self, steps_done: int) -> bool:
        """Return whether a check follows this step; one always follows the last."""
        every = max(1, self._steps // _CHECKS)
        if steps_done == self._steps:
            return True
        return 2 * steps_done >= self._steps and (self._steps - steps_done) % every == 0

    def note(self, steps_done: int, loss: float, masks: Masks) -> None:
        """Record a check's loss, nats, and its masks, bool."""
        if loss < self._loss or not self._masks:
            self.step, self._loss, self._masks, self._failures = steps_done, loss, masks, 0
        else:
            self._failures += 1

    @property
    def over(self) -> bool:
        """Whether learning should stop."""
        return self._failures >= self._patience

    def masks(self) -> Masks | None:
        """Return the best masks, parameter name → bool of its shape; None before a check."""
        return dict(self._masks) or None

    def state(self) -> dict[str, Tensor]:
        """Copy everything that later checks depend on.

        Returns:
            "kept", (3,) float64: step, loss and failures; once there was a check,
            "kept/<parameter>", uint8 zeros and ones of the parameter's shape, on the CPU.
        """
        record = torch.tensor([self.step, self._loss, self._failures], dtype=torch.float64)
        kept = {f"{_KEPT}{name}": mask.cpu().to(torch.uint8) for name, mask in self._masks.items()}
        return {_RECORD: record, **kept}

    def restore(self, state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> set[str]:
        """Continue where another one stopped.

        Args:
            state: what `state` returned, perhaps among other tensors.
            like: parameter name → tensor of its shape, on the network's device.

        Returns:
            the names of the tensors that were used.

        Raises:
            ValueError: the state has another form.
        """
        record = state.get(_RECORD, torch.empty(0))
        names = {f"{_KEPT}{name}" for name in like}
        taken = {name for name in state if name.startswith(_KEPT)}
        if record.shape != (3,) or taken not in (set(), names):
            raise ValueError(f"state of stopping with {sorted(taken)} found, expected its own")
        step, loss, failures = record.tolist()
        if taken:
            masks = {name: state[f"{_KEPT}{name}"].to(one.device) for name, one in like.items()}
            wrong = [name for name, mask in masks.items() if mask.shape != like[name].shape]
            if wrong:
                raise ValueError(f"{wrong[0]}: {tuple(masks[wrong[0]].shape)} kept, other expected")
            self._masks = {name: mask > 0 for name, mask in masks.items()}
        self.step, self._loss, self._failures = int(step), loss, int(failures)
        return {_RECORD, *taken}
