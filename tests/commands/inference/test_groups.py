"""Images decided together are the same ones, in however many batches they are read."""

from pathlib import Path

import numpy as np
import pytest

from supsup_cli.workflows.inference import inputs
from supsup_cli.workflows.inference.inputs import InputBatch, decided_together, joined
from supsup_cli.workflows.inference.rules import group_places
from tests.support.commands import run


def _batches(seed: int, counts: list[int]) -> list[InputBatch]:
    """Make batches in which a third of the inputs are broken; each image holds its number."""
    random, made, number = np.random.RandomState(seed), list[InputBatch](), 0
    for count in counts:
        names = tuple(map(str, range(number, number + count)))
        errors = tuple("broken" if random.rand() < 1 / 3 else None for _ in names)
        usable = [int(name) for name, error in zip(names, errors, strict=True) if error is None]
        images = np.array(usable, np.uint8).reshape(-1, 1, 1, 1)
        made.append(InputBatch(names, ("",) * count, errors, images))
        number += count
    return made


def _groups(batch: InputBatch, group: str) -> list[list[int]]:
    numbers = batch.images.flatten().tolist()
    places = group_places(group, [batch.folders[place] for place in batch.usable])
    return [[numbers[place] for place in members] for members in places]


@pytest.mark.parametrize("group", ["1", "2", "7", "50", "all", "folder"])
@pytest.mark.parametrize("seed", range(5))
def test_no_batch_ends_inside_a_group(seed: int, group: str) -> None:
    batches = _batches(seed, [9, 1, 20, 3, 12])
    cut = list(decided_together(iter(batches), group))
    found, expected = joined(cut), joined(batches)
    assert (found.sources, found.errors) == (expected.sources, expected.errors)
    assert [one for part in cut for one in _groups(part, group)] == _groups(expected, group)
    if group.isdigit():
        assert max(len(part.images) for part in cut) <= int(group) + 20


@pytest.mark.parametrize("command", ["infer-task", "predict"])
def test_groups_are_decided_batch_after_batch(
    bank: Path, images: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.png").write_text("no image")
    files = [*sorted((images / "perm-0").rglob("*.png"))[:17]]
    files.insert(8, tmp_path / "broken.png")
    words = (command, "--bank", bank, *files, "--group", 3, "--json")
    whole = run(*words)
    monkeypatch.setattr(inputs, "_at_once", lambda *_: 4)
    sizes = []
    joining = inputs.joined
    monkeypatch.setattr(inputs, "joined", lambda parts: sizes.append(len(parts)) or joining(parts))
    parted = run(*words)
    assert (whole.code, parted.code) == (3, 3)
    assert max(sizes) == 2
    keys = ("source", "images", "task", "label", "error")
    told = [
        [{key: one.get(key) for key in keys} for one in ran.json["results"]]
        for ran in (whole, parted)
    ]
    assert told[0] == told[1]
