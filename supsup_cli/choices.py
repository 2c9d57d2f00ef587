"""Options that take one of a few words: the words, and what each means.

Help and the shell's completion read them here, because what the words choose imports torch. A test
compares each list with the code that acts on it.
"""

import difflib
from collections.abc import Iterable

from supsup_cli.errors import UsageError

RECIPES = {
    "default": "single images tell their task",
    "paper": "for One-Shot and Binary",
    "separable": "for tasks that look alike",
    "fast": "for thousands of tasks",
}
METHODS = {
    "auto": "signatures choose which masks are tried",
    "signature": "the frozen network alone",
    "one-shot": "one gradient of all masks superimposed",
    "binary": "halve the superposition until one mask is left",
    "descent": "follow the gradient of the masks' coefficients",
    "exhaustive": "try every mask",
    "hopfield": "recover a mask from attractors; banks of units only",
}
OBJECTIVES = {
    "H": "entropy of the outputs",
    "G": "the paper's, on superfluous outputs",
    "R": "log-odds of no class",
}
GROUPS = {
    "image": "every image alone",
    "folder": "the images of a folder together",
    "all": "all images together",
}
ARCHITECTURES = {
    "lenet-300-100": "the paper's perceptron for digits",
    "fc-1024-1024": "a wider one",
    "conv-4": "a small convolution net, from 16x16",
    "gem-resnet18": "the paper's narrow ResNet-18, from 8x8",
    "resnet18": "from 32x32",
    "resnet50": "from 32x32",
    "resnet18-affine": "for --weights with a last layer that all tasks share",
    "resnet50-affine": "likewise",
}
INITS = {
    "signed-constant": "one magnitude for each layer, random signs",
    "kaiming-normal": "normally distributed",
}
STREAM_RULES = {
    "loss": "when batches surprise every mask",
    "paper": "when the gradient of all masks is nearly even",
}
HOPFIELD_RULES = {"storkey": "holds more masks", "hebbian": "the simple sum"}
RATES = {"grid": "the best of five", "fixed": "as in the papers"}
SPLITS = {
    "train": "learned from",
    "calibration": "for thresholds and early stopping",
    "test": "for measuring",
}
CHANGES = {
    "none": "leave them as they are",
    "flip": "mirror half of the images",
    "shift": "move each by up to an eighth of its sides",
}
DEVICES = {
    "auto": "a GPU if there is one",
    "cpu": "",
    "cuda": "the first NVIDIA GPU",
    "cuda:1": "another one, by its number",
    "mps": "Apple's GPU",
}


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Return "did you mean NAME? " for the nearest known name; "" if none is near."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(typed.lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}? " if close else ""


def check_choice(option: str, typed: str, known: Iterable[str]) -> None:
    """Refuse a word that an option does not take.

    Raises:
        UsageError: `typed` is not in `known`.
    """
    names = list(known)
    if typed not in names:
        guess = did_you_mean(typed, names)
        expected = " or ".join((", ".join(names[:-1]), names[-1]))
        raise UsageError(f"{option} {typed}: {guess}expected {expected}")
