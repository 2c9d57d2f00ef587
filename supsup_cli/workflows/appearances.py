"""What a task's images look like, measured for its signature."""

import numpy as np
from torch import Tensor

from bank_format.kinds.appearance import Appearance, store_appearance
from bank_format.kinds.task_arrays import Arrays
from supsup_cli.core.inference.novelty import CALIBRATION_LEVELS
from supsup_cli.core.signatures.appearance import LEAST_IMAGES, appearance, fit_appearance, oddness


def appearance_arrays(images: Tensor) -> Arrays:
    """Measure how a task's training images look and how much they differ; empty below 200 images.

    Args:
        images: (N, C, H, W) uint8.
    """
    if len(images) < LEAST_IMAGES:
        return {}
    values = appearance(images).numpy()
    mean, matrix = (one.astype(np.float32) for one in fit_appearance(values))
    quantiles = np.quantile(oddness(values, mean, matrix), CALIBRATION_LEVELS)
    return store_appearance(Appearance(mean, matrix, quantiles.astype(np.float32), len(images)))
