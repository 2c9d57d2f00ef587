"""`doctor`'s arithmetic: random bits and a masked forward pass, against known answers."""

import os

import numpy as np
import torch

from bank_format.kinds.seeded import seeded_signs
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze
from supsup_cli.errors import SupsupError
from supsup_cli.workflows.opening import choose_device
from supsup_cli.workflows.results.bank import Check

# The first 64 signs of the second parameter under seed 0, as FORMAT.md has them.
_SIGNS = "76d1a1f9c3f837d0"
_DAMAGE = 5
_TOLERANCE = 1e-4  # of logits of size one, float32
_HINT = "reinstall supsup and what it needs: pip install --force-reinstall supsup"


def check_devices(device: str) -> list[Check]:
    """Check the devices and threads, and whether the device asked for can be used."""
    cuda = torch.cuda.device_count()
    names = ["cpu", *(f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(cuda))]
    if torch.backends.mps.is_available():
        names.append("mps")
    checks = [Check("devices", "ok", ", ".join(names)), _check_threads()]
    try:
        chosen = choose_device(device)
    except SupsupError as error:
        return [*checks, Check("device", "failed", error.message, error.hint, error.exit_code)]
    return [*checks, Check("device", "ok", f"{device} is {chosen}")]


def _check_threads() -> Check:
    """Report how many threads there are, and whether idle ones leave the processors to others."""
    threads = torch.get_num_threads()
    found = f"{threads} of {os.cpu_count()} processors"
    policy = os.environ.get("OMP_WAIT_POLICY", "")
    if policy.lower() == "passive":
        return Check("threads", "ok", f"{found}; they sleep while they wait")
    if threads == 1:
        return Check("threads", "ok", found)
    found = f"{found}; they spin while they wait (OMP_WAIT_POLICY={policy or 'unset'})"
    hint = "set OMP_WAIT_POLICY=passive, or give no value: spinning is slow next to busy processes"
    return Check("threads", "warning", found, hint)


def check_arithmetic(device: str) -> list[Check]:
    """Draw signs and run a small masked network on `device`; compare with known answers."""
    signs = seeded_signs(0, 1, 64).tobytes().hex()
    drawn = Check("random signs", "ok", f"{signs}, as they must be")
    if signs != _SIGNS:
        found = f"{signs} found, expected {_SIGNS}"
        drawn = Check("random signs", "failed", found, _HINT, _DAMAGE)
    try:
        worst = _largest_error(choose_device(device))
    except SupsupError as error:
        return [drawn, Check("masked forward", "skipped", error.message)]
    except (RuntimeError, MemoryError) as error:
        found = str(error).splitlines()[0]
        return [drawn, Check("masked forward", "failed", found, _HINT, _DAMAGE)]
    found = f"differs from a float64 reference by {worst:.1e} at most, expected below {_TOLERANCE}"
    if worst < _TOLERANCE:
        return [drawn, Check("masked forward", "ok", found)]
    return [drawn, Check("masked forward", "failed", found, _HINT, _DAMAGE)]


def _largest_error(device: torch.device) -> float:
    """Run a perceptron of 16, 32 and 8 values under a mask, and compare with numpy."""
    random = np.random.RandomState(0)
    network = build_network(NetworkSpec("mlp-32", (1, 4, 4), 8))
    shapes = {name: tuple(one.shape) for name, one in network.named_parameters()}
    weights = {
        name: (random.standard_normal(shape) / shape[1] ** 0.5).astype(np.float32)
        for name, shape in shapes.items()
    }
    masks = {name: random.random_sample(shape) < 0.5 for name, shape in shapes.items()}
    images = random.standard_normal((5, 1, 4, 4)).astype(np.float32)
    freeze(network, weights, device)
    bits = {name: torch.from_numpy(mask).to(device, torch.float32) for name, mask in masks.items()}
    logits = masked_forward(network, bits, torch.from_numpy(images).to(device))
    first, last = (weights[name].astype(np.float64) * masks[name] for name in shapes)
    hidden = np.maximum(images.reshape(5, 16).astype(np.float64) @ first.T, 0)
    return float(np.abs(logits.double().cpu().numpy() - hidden @ last.T).max())
