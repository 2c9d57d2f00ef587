"""MNIST from inside the package: whole, permuted, rotated or split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data import embedded, variants
from supsup_cli.data.images import fit_images
from supsup_cli.data.names import Variant
from supsup_cli.data.splits import (
    HeldOutData,
    InputShape,
    Split,
    TaskData,
    calibration_share,
    part_calibration,
)

_NATIVE: InputShape = (1, 28, 28)


@dataclass(frozen=True)
class MnistData:
    """A task made of MNIST's images; its outputs are the digits.

    Attributes:
        variant: how the images are changed, or which digits are taken.
        native_shape: (C, H, W) of the images.
    """

    variant: Variant
    native_shape: InputShape = _NATIVE

    def classes(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Name the digits and the output of each."""
        first = 2 * int(self.variant.number)
        part = self.variant.form == "mnist-split"
        digits = (first, first + 1) if part else tuple(range(10))
        return tuple(str(digit) for digit in digits), digits

    def source_digest(self) -> str:
        """Digest the embedded files: SHA-256, 64 hex digits."""
        return embedded.source_digest()

    def load(self, input_shape: InputShape, seed: int, digest: str) -> TaskData:
        """Load the three splits; variants are made at 1x28x28 and then fitted to the input."""
        classes, outputs = self.classes()
        train, calibration = self._parts(input_shape, seed)
        test = Split(*self._half(input_shape, train=False))
        return TaskData(str(self.variant), classes, outputs, train, calibration, test, digest)

    def load_test(self, input_shape: InputShape, _seed: int) -> HeldOutData:
        """Load the test split alone."""
        classes, outputs = self.classes()
        test = Split(*self._half(input_shape, train=False))
        return HeldOutData(str(self.variant), classes, outputs, test)

    def _parts(self, input_shape: InputShape, seed: int) -> tuple[Split, Split]:
        """Split the training half. Permutations share one store; none is written out whole."""
        if self.variant.form != "mnist-perm" or input_shape != _NATIVE:
            return part_calibration(*self._half(input_shape, train=True), seed)
        images, labels = embedded.load_mnist(True)
        sources = variants.permutation(images[0].size, int(self.variant.number))
        chosen = calibration_share(labels, seed)
        train, calibration = (
            Split(images, labels[here], np.flatnonzero(here), sources) for here in (~chosen, chosen)
        )
        return train, calibration

    def _half(
        self, input_shape: InputShape, *, train: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        form, number = self.variant.form, self.variant.number
        images, labels = embedded.load_mnist(train)
        if form == "mnist-perm":
            images = variants.permuted(images, int(number))
        elif form == "mnist-rot":
            images = variants.rotated(images, float(number))
        elif form == "mnist-split":
            images, labels = variants.split(images, labels, int(number))
        return fit_images(images, input_shape), labels
