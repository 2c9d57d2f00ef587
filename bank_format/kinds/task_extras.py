"""What a task may keep beside its mask since version 2: a signature, a last layer of its own.

A file of version 1 has neither, and is written wherever a task has neither, so that such a task
has the same bytes and digest as ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bank_format.encoding.sealed import Tensor, Tensors
from bank_format.names import check_parameter_name, check_text

__all__ = [
    "NO_EXTRAS",
    "Extras",
    "HeadRecord",
    "SignatureRecord",
    "check_extras",
    "extras_in",
    "stored_extras",
]

_HALF: np.dtype[np.generic] = np.dtype("float16")


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """What the frozen network says of the task's own training images.

    Args:
        model: how the arrays are to be read; a reader that does not know it does without.
        images: how many images it was made of.
        arrays: names of its arrays, sorted.
    """

    model: str
    images: int
    arrays: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text(self.model)
        for name in self.arrays:
            check_parameter_name(name)
        if self.images < 1 or not self.arrays or list(self.arrays) != sorted(set(self.arrays)):
            raise ValueError(
                f"signature of {self.images} images with arrays {list(self.arrays)} found, "
                "expected at least one image, and distinct names in order"
            )


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """A last layer of the task's own, with a row for each of its classes in their order.

    Args:
        inputs: features that enter it.
    """

    inputs: int

    def __post_init__(self) -> None:
        if self.inputs < 1:
            raise ValueError(f"head of {self.inputs} inputs found, expected at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """A task's arrays besides mask and statistics, by name; empty where it has none.

    Args:
        signature: of any type that a sealed file has, see the signature's model.
        head: `weight` (classes, inputs) and `bias` (classes,), float16.
    """

    signature: Mapping[str, Tensor]
    head: Mapping[str, Tensor]


NO_EXTRAS = Extras({}, {})


def stored_extras(extras: Extras) -> Tensors:
    """Name the arrays as a task's file holds them."""
    return {f"signature/{name}": array for name, array in extras.signature.items()} | {
        f"head/{name}": array for name, array in extras.head.items()
    }


def extras_in(tensors: Tensors) -> Extras:
    """Pick a task's extras from all tensors of its file."""
    signature, head = (
        {
            name.removeprefix(prefix): array
            for name, array in tensors.items()
            if name.startswith(prefix)
        }
        for prefix in ("signature/", "head/")
    )
    return Extras(signature, head)


def check_extras(
    signature: SignatureRecord | None, head: HeadRecord | None, classes: int, extras: Extras
) -> None:
    """Refuse arrays that are not those which the content tells of.

    Args:
        signature: of the content.
        head: of the content.
        classes: of the task.
        extras: the arrays.

    Raises:
        ValueError: a name, type or shape is another one, or a head holds infinity or NaN.
    """
    stated = () if signature is None else signature.arrays
    if tuple(sorted(extras.signature)) != stated:
        raise ValueError(
            f"signature arrays {sorted(extras.signature)} found, expected {list(stated)}"
        )
    shapes = {} if head is None else {"bias": (classes,), "weight": (classes, head.inputs)}
    found = {name: array.shape for name, array in extras.head.items()}
    if found != shapes or any(array.dtype != _HALF for array in extras.head.values()):
        raise ValueError(f"head of shapes {found} found, expected float16 of {shapes}")
    if not all(np.isfinite(array.astype(np.float32)).all() for array in extras.head.values()):
        raise ValueError("head with infinity or NaN found, expected finite numbers")
