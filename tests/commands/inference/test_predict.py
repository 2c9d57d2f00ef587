"""Task and class of each image: names of classes, probabilities, the task given or inferred."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from supsup_cli.data.catalog import load_test
from supsup_cli.workflows.opening import open_tasks
from tests.support.commands import answer, learn, make_bank, make_class_folder, run


def _predict(bank: Path, *words: object) -> dict[str, Any]:
    return answer("predict", "--bank", bank, *words)


def _right(results: list[dict[str, Any]]) -> float:
    """Return the share of labels that name the folder of the image."""
    return sum(Path(one["source"]).parent.name == one["label"] for one in results) / len(results)


def test_with_the_task_given_its_own_classes_alone_are_answers(bank: Path, images: Path) -> None:
    document = _predict(bank, images / "split-3", "--task", "mnist-split-3")
    assert {document[key] for key in ("method", "objective", "group")} == {None}
    assert {one["task"] for one in document["results"]} == {"mnist-split-3"}
    assert {one["label"] for one in document["results"]} == {"6", "7"}
    assert _right(document["results"]) >= 0.9
    strange = _predict(bank, images / "perm-0", "--task", "mnist-split-3")["results"]
    assert {one["label"] for one in strange} <= {"6", "7"}


def test_with_the_task_inferred_the_label_is_one_of_its_classes(bank: Path, images: Path) -> None:
    document = _predict(bank, images)
    inferred = answer("infer-task", "--bank", bank, images)
    for key in ("method", "objective", "group"):
        assert document[key] == inferred[key]
    for key in ("source", "task", "known"):
        assert [one[key] for one in document["results"]] == [
            one[key] for one in inferred["results"]
        ]
    for one in document["results"]:
        digits = "67" if one["task"] == "mnist-split-3" else "0123456789"
        assert one["label"] in digits
    split = [one for one in document["results"] if "/split-3/" in one["source"]]
    assert _right(split) >= 0.85


def test_groups_share_the_task_and_not_the_class(bank: Path, images: Path) -> None:
    results = _predict(bank, images / "split-3", "--group", "all")["results"]
    assert {one["task"] for one in results} == {"mnist-split-3"}
    assert {one["label"] for one in results} == {"6", "7"}
    assert len(results) == 30


@pytest.mark.parametrize("task", ["mnist-perm-0", "mnist-split-3"])
def test_probability_is_a_softmax_over_the_tasks_own_classes(
    task: str, bank: Path, images: Path
) -> None:
    opened = open_tasks(bank, "cpu", [task])
    classes = opened.tasks[0].content.classes
    weights = [
        (weight * mask).double().numpy()
        for weight, mask in zip(
            opened.net.network.parameters(), opened.stack.masks(0).values(), strict=True
        )
    ]
    for one in _predict(bank, images / "split-3", "--task", task)["results"][:8]:
        pixels = np.asarray(Image.open(one["source"])).reshape(-1) / 255
        values = (pixels - 0.1307) / 0.3081
        for weight in weights[:-1]:
            values = np.maximum(weight @ values, 0)
        logits = (weights[-1] @ values)[[each.output for each in classes]]
        shares = np.exp(logits) / np.exp(logits).sum()
        assert one["label"] == classes[int(shares.argmax())].name
        assert one["probability"] == pytest.approx(shares.max(), abs=1e-5)


def test_labels_are_the_names_of_the_class_folders(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    pets = make_class_folder(tmp_path / "pets", {"[red]cat": 0, "dog à poil": 18})
    learn(bank, pets, steps=300)
    results = _predict(bank, pets)["results"]
    assert {one["label"] for one in results} == {"[red]cat", "dog à poil"}
    assert _right(results) >= 0.9
    told = run("predict", "--bank", bank, pets / "[red]cat" / "000.png")
    assert told.out.startswith(f"{pets}/[red]cat/000.png  pets  ")
    assert told.out.endswith(" %\n")


def test_an_image_is_answered_alike_from_a_file_and_from_its_data(bank: Path, images: Path) -> None:
    files = _predict(bank, images / "perm-0")["results"]
    named = _predict(bank, "--data", "mnist-perm-0", "--limit", 30)["results"]
    by_place = {int(one["source"].partition("[")[2].rstrip("]")): one for one in named}
    assert len(files) == len(by_place) == 30
    for one in files:
        same = by_place[int(Path(one["source"]).stem)]
        assert (one["task"], one["label"]) == (same["task"], same["label"])
        assert one["probability"] == pytest.approx(same["probability"], abs=1e-5)


def test_one_task_can_be_read_while_another_is_damaged(own_bank: Path, images: Path) -> None:
    (own_bank / "masks" / "mnist-perm-1.safetensors").write_bytes(b"damage")
    assert run("predict", "--bank", own_bank, images).code == 5
    assert _predict(own_bank, images, "--task", "mnist-perm-0")["results"]


def test_data_means_the_test_share_of_the_seed_it_was_learned_with(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    folder = make_class_folder(tmp_path / "shapes", {"low": 2, "high": 16})
    learn(bank, folder, more=("--seed", 5))
    said = answer("predict", "--bank", bank, "--data", folder)["results"]
    again = answer("predict", "--bank", bank, "--data", folder, "--seed", 9)["results"]
    held_out = load_test(str(folder), (1, 28, 28), seed=5).test
    other = load_test(str(folder), (1, 28, 28), seed=0).test
    assert not np.array_equal(held_out.images, other.images)
    assert said == again
    one_by_one = [
        answer("predict", "--bank", bank, _saved(image, tmp_path))["results"][0]
        for image in held_out.images
    ]
    assert [one["label"] for one in said] == [one["label"] for one in one_by_one]
    assert [one["probability"] for one in said] == pytest.approx(
        [one["probability"] for one in one_by_one], abs=1e-5
    )


def test_a_broken_test_image_of_a_data_folder_is_named(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    folder = tmp_path / "shapes"
    make_class_folder(folder / "train", {"low": 2, "high": 16})
    make_class_folder(folder / "test", {"low": 2, "high": 16}, each=3)
    assert learn(bank, folder)[0]["status"] == "learned"
    (folder / "test" / "low" / "broken.png").write_text("no image")
    for command in ("predict", "infer-task"):
        ran = run(command, "--bank", bank, "--data", folder, "--json")
        errors = [one for one in ran.json["results"] if one["error"]]
        assert (ran.code, len(errors), len(ran.json["results"])) == (3, 1, 7)
        assert errors[0]["source"].endswith("broken.png")


def _saved(image: NDArray[np.uint8], folder: Path) -> Path:
    path = folder / "one.png"
    Image.fromarray(image[0]).save(path)
    return path


def test_options_of_inference_are_checked_though_the_task_is_given(
    bank: Path, images: Path
) -> None:
    ran = run("predict", "--bank", bank, images, "--task", "mnist-perm-0", "--method", "none")
    assert (ran.code, ran.out) == (2, "")
