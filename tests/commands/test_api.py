"""The Python API answers as the commands do, with the same workflows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from bank_format.errors import NoBankError
from supsup_cli import api
from supsup_cli.errors import NoInputError, SupsupError, UsageError
from tests.support.commands import answer, run


class Stripes(Dataset[tuple[torch.Tensor, int]]):
    """Noise with a bright band at one of three places; only its length ends it."""

    classes = ("top", "middle", "low")

    def __init__(self, count: int, seed: int = 0) -> None:
        draws = np.random.RandomState(seed)
        self.labels = draws.randint(3, size=count)
        self.images = draws.randint(0, 90, (count, 1, 28, 28)).astype(np.uint8)
        for image, label in zip(self.images, self.labels, strict=True):
            image[0, 9 * label : 9 * label + 8] += 150

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        wrapped = place % len(self.labels)
        return torch.from_numpy(self.images[wrapped]) / 255, int(self.labels[wrapped])


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> api.Bank:
    path = tmp_path_factory.mktemp("api") / "bank"
    bank = api.create(path, arch="mlp-16-16", outputs=100)
    bank.learn("mnist-perm-1", steps=60)
    bank.learn_dataset("stripes", Stripes(600), steps=200)
    return bank


def test_what_is_public_is_named() -> None:
    assert sorted(api.__all__) == [
        "Bank", "InferredSource", "LearnedTask", "ListedTask", "PredictedSource", "create"
    ]  # fmt: skip
    assert all(getattr(api, name).__doc__ for name in api.__all__)


def test_a_dataset_is_a_task_with_its_class_names(stripes: api.Bank) -> None:
    listed = {one.task: one for one in stripes.tasks()}
    assert sorted(listed) == ["mnist-perm-1", "stripes"]
    assert listed["stripes"].classes == 3
    accuracy = listed["stripes"].accuracy
    assert accuracy is not None
    assert accuracy > 0.9
    shown = answer("tasks", "show", "stripes", "--bank", stripes.path)["tasks"][0]
    assert [one["name"] for one in shown["class_names"]] == ["top", "middle", "low"]
    again = stripes.learn_dataset("stripes", Stripes(600), steps=200)
    assert (again.status, again.classes) == ("exists", ("top", "middle", "low"))


def test_images_of_any_kind_get_the_same_answer(stripes: api.Bank, tmp_path: Path) -> None:
    data = Stripes(12, seed=5)
    files = []
    for place, pixels in enumerate(data.images):
        files.append(tmp_path / f"{place:02d}.png")
        Image.fromarray(pixels[0]).save(files[-1])
    answers = stripes.predict(data.images)
    assert [one.task for one in answers] == ["stripes"] * 12
    right = [
        one.label == data.classes[label] for one, label in zip(answers, data.labels, strict=True)
    ]
    assert sum(right) >= 11
    tensors = torch.from_numpy(data.images)
    forms = (
        tensors,
        tensors / 255,
        data.images[:, 0][..., None],
        list(tensors),
        [Image.open(file) for file in files],
        files,
        tmp_path,
    )
    for form in forms:
        told = stripes.predict(form)
        assert [(one.task, one.label) for one in told] == [(one.task, one.label) for one in answers]
        assert np.allclose([one.probability for one in told], [one.probability for one in answers])
    alone = stripes.predict(data.images[3, 0])
    assert (len(alone), alone[0].source, alone[0].label) == (1, "0", answers[3].label)
    assert stripes.predict(str(files[3]))[0].source == str(files[3])
    given = stripes.predict(data.images, task="stripes")
    assert [one.label for one in given] == [one.label for one in answers]


def test_it_answers_as_the_commands_do(stripes: api.Bank, images: Path) -> None:
    folder = images / "split-3"
    told = answer("infer-task", folder, "--bank", stripes.path, "--top", 2)["results"]
    asked = stripes.infer(folder, top=2)
    assert [(one.source, one.task) for one in asked] == [
        (one["source"], one["task"]) for one in told
    ]
    assert np.allclose([one.scores[0][1] for one in asked], [one["scores"][0][1] for one in told])
    (grouped,) = stripes.infer(Stripes(8, 2).images, group="all", method="one-shot")
    assert (grouped.images, grouped.task) == (8, "stripes")
    told = answer("predict", folder, "--bank", stripes.path)["results"]
    asked_too = stripes.predict(folder)
    assert [one.label for one in asked_too] == [one["label"] for one in told]


def test_tasks_of_others_are_seen_and_removed_ones_forgotten(tmp_path: Path) -> None:
    bank = api.create(tmp_path / "bank", arch="mlp-8", outputs=40)
    with pytest.raises(NoInputError, match="no task found"):
        bank.predict(Stripes(1).images)
    bank.learn_dataset("stripes", Stripes(60), steps=5)
    assert {one.task for one in bank.predict(Stripes(6).images)} == {"stripes"}
    other = api.Bank(bank.path)
    assert run("learn-task", "--bank", bank.path, "--data", "mnist", "--steps", 5).code == 0
    assert len(bank.infer(Stripes(6).images, method="exhaustive")[0].scores) == 2
    assert run("tasks", "remove", "stripes", "--yes", "--bank", bank.path).code == 0
    assert {one.task for one in bank.predict(Stripes(6).images)} == {"mnist"}
    assert len(other.tasks()) == 1


def test_a_given_test_set_and_arrays_with_labels(tmp_path: Path) -> None:
    bank = api.create(tmp_path / "bank", arch="mlp-8", outputs=40, real_outputs=4)
    train, test = Stripes(60), Stripes(20, 1)
    pairs = zip(train.images, train.labels, strict=True)
    tensors = TensorDataset(torch.from_numpy(test.images), torch.from_numpy(test.labels))
    learned = bank.learn_dataset("pairs", pairs, test=tensors, steps=5, density="0.3")
    assert learned.classes == ("0", "1", "2")
    shown = answer("tasks", "show", "pairs", "--bank", bank.path)["tasks"][0]
    assert shown["images"] == 20
    with pytest.raises(SupsupError, match="5 outputs needed"):
        bank.learn_dataset("many", ((train.images[0], label) for label in (0, 1, 2, 3, 4) * 4))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 5, 28, 28), np.uint8), r"shape \[2, 5, 28, 28\]"),
        (np.zeros(7, np.uint8), r"shape \[7\]"),
        (np.zeros((1, 28, 28), np.int64), "int64"),
        (np.full((1, 28, 28), 1.5), "pixels from 1.5 to 1.5"),
        (np.full((1, 28, 28), np.nan), "nan"),
        ([], "0 images"),
        (np.zeros((0, 1, 28, 28), np.uint8), "0 images"),
    ],
)
def test_unusable_images_are_refused(stripes: api.Bank, images: object, message: str) -> None:
    with pytest.raises((UsageError, NoInputError), match=message):
        stripes.predict(images)


def test_unusable_data_and_banks_are_refused(stripes: api.Bank, tmp_path: Path) -> None:
    with pytest.raises(NoBankError):
        api.Bank(tmp_path)
    image = np.zeros((1, 28, 28), np.uint8)
    for examples in ([], [(image, 0)] * 4, [(image, 0), (image, 2)] * 9):
        with pytest.raises(NoInputError, match="expected two classes and an image of each"):
            stripes.learn_dataset("empty", examples)
    with pytest.raises(UsageError, match="labels from -1 to 0"):
        stripes.learn_dataset("negative", [(image, -1), (image, 0)] * 9, classes=("a", "b"))
    with pytest.raises(UsageError, match="several images with one label"):
        stripes.learn_dataset("several", [(np.stack([image, image]), 0)] * 4)
    with pytest.raises(SupsupError, match="no such file"):
        stripes.predict(tmp_path / "gone.png")
    assert len(stripes.tasks()) == 2


def test_an_option_that_does_not_exist_is_refused(own_bank: Path) -> None:
    with pytest.raises(TypeError, match="step"):
        api.Bank(own_bank, device="cpu").learn("mnist-perm-7", step=3)  # type: ignore[call-arg]
