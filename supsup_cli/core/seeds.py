"""Independent random streams derived from one user seed."""

import hashlib

import torch


def derive_seed(seed: int, *purpose: str) -> int:
    """Derive the seed of one random stream, for instance `(0, "scores", "mnist-perm-7")`.

    Each draw of the program has its own stream: mask scores that share the weights' stream are
    correlated with the weights' signs, and equal scores for all tasks would make their masks alike.

    Returns:
        an integer in [0, 2⁶³): the first 63 bits of SHA-256 over the seed and the purpose.
    """
    text = "\0".join((str(seed), *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str) -> torch.Generator:
    """Open the stream of `derive_seed` as a CPU generator, so that every device draws the same."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def restore_stream(stream: torch.Generator, state: torch.Tensor | None) -> None:
    """Set a stream to where `get_state` found it, or another of its kind.

    Raises:
        ValueError: no state of a generator, or None.
    """
    if state is None:
        raise ValueError("no generator's state found, expected one")
    try:
        stream.set_state(state)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"no generator's state ({error})") from error
