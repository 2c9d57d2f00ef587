"""Small banks with masks over units."""

from pathlib import Path

from tests.support.commands import answer, learn

TASKS = ("mnist-split-0", "mnist-split-2", "mnist-split-3")


def make_unit_bank(
    path: Path, *tasks: str, arch: str = "units-64-48", steps: int = 40, outputs: int = 10
) -> Path:
    answer("init-base", "--bank", path, "--arch", arch, "--outputs", outputs)
    if tasks:
        learn(path, *tasks, steps=steps)
    return path
