"""supsup from Python: the same workflows as the command line, without a shell.

    from supsup_cli import api

    bank = api.create("bank", arch="conv-4", input_shape=(3, 32, 32), outputs=100)
    bank.learn("photos/pets")                      # a folder of class folders, or named data
    bank.learn_dataset("shapes", dataset)          # anything that gives (image, label)
    for answer in bank.predict(["one.jpg"]):
        print(answer.source, answer.task, answer.label, answer.probability)

Errors are those of `supsup_cli.errors` and `bank_format.errors`; nothing is printed.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from bank_format.bank import Bank as _BankOnDisk
from bank_format.store.tasks import task_path
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.data.splits import TaskData
from supsup_cli.data.supplied import as_images, task_data
from supsup_cli.errors import NoInputError
from supsup_cli.workflows.bank import init_base
from supsup_cli.workflows.bank.requests import BaseRequest
from supsup_cli.workflows.inference import infer_task, predict
from supsup_cli.workflows.inference.inputs import InputRequest
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.lazy_tasks import open_lazily
from supsup_cli.workflows.learning import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.left_out import warned
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.results.inference import InferredSource, PredictedSource
from supsup_cli.workflows.results.learning import LearnedTask
from supsup_cli.workflows.results.tasks import ListedTask
from supsup_cli.workflows.tasks import list as listing

__all__ = ["Bank", "InferredSource", "LearnedTask", "ListedTask", "PredictedSource", "create"]

_SILENT = Silent()


class LearnOptions(TypedDict, total=False):
    """How `Bank.learn` and `Bank.learn_dataset` learn a mask; every option may be left out.

    Attributes:
        recipe: default, fast, paper or separable; `fast` is for thousands of tasks.
        steps: updates of the mask; None takes the recipe's.
        batch_size: images per update; None takes the recipe's.
        density: weights to keep, a share or er:S; None keeps about half.
        augment: flip, shift or flip,shift changes images at random in each step; None none.
        seed: for all random draws; default 0.
    """

    recipe: str
    steps: int | None
    batch_size: int | None
    density: str | None
    augment: str | None
    seed: int


class Bank:
    """A bank on disk, opened.

    The next call sees tasks that this or another process has learned meanwhile.

    Args:
        path: its folder.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        BankError: there is no bank, or it cannot be read.
    """

    def __init__(self, path: str | Path, *, device: str = "auto") -> None:
        self.path = Path(path)
        self.input_shape = _BankOnDisk.open(self.path).record.input.shape
        self._device = device
        self._open: tuple[object, OpenTasks] | None = None

    def tasks(self) -> tuple[ListedTask, ...]:
        """List the tasks sorted by name, each with its file's content.

        Raises:
            BankError: a task cannot be read.
        """
        return listing.list_tasks(self.path).tasks

    def learn(
        self,
        data: str | Path,
        *,
        name: str | None = None,
        data_root: str = "",
        **options: Unpack[LearnOptions],
    ) -> LearnedTask:
        """Learn a mask from a folder of class folders, or from named data (see `data list`).

        Args:
            data: the folder or the name.
            name: the task's name; None uses the data's.
            data_root: folder of CIFAR and ImageNet.
            options: how, see `LearnOptions`.

        Returns:
            the task, its status `exists` if the same was learned before.

        Raises:
            SupsupError, BankError: as `supsup learn-task`.
        """
        return self._learn([str(data)], name, reading=Reading(root=data_root), **options)

    def learn_dataset(
        self,
        name: str,
        dataset: Iterable[tuple[Any, int]],
        *,
        test: Iterable[tuple[Any, int]] | None = None,
        classes: Sequence[str] | None = None,
        **options: Unpack[LearnOptions],
    ) -> LearnedTask:
        """Learn a mask from labelled images in memory; they are read once.

        Args:
            name: the task's.
            dataset: pairs (image, label), such as a torch Dataset or `zip(images, labels)`. An
                image is a PIL image, a path, or a tensor or array (C, H, W), uint8 or from 0 to 1;
                labels count from 0.
            test: the same for the test; None holds out a seeded 15 % of each class.
            classes: a name for each label; None uses `dataset.classes`, or else the numbers.
            options: how, see `LearnOptions`.

        Returns:
            the task, its status `exists` if the same was learned before.

        Raises:
            SupsupError, BankError: as `supsup learn-task`.
        """
        known = classes if classes is not None else getattr(dataset, "classes", None)
        tested = None if test is None else _examples(test)
        seed = options.get("seed", 0)
        given = task_data(name, _examples(dataset), known, self.input_shape, seed, tested)
        return self._learn((), name, given=given, **options)

    def predict(self, images: Any, *, task: str | None = None) -> tuple[PredictedSource, ...]:
        """Name the task and class of each image.

        Args:
            images: one or more paths of files or folders; or images in memory, see `as_images`.
            task: their task (GG); None infers it for each image (GNs, GNu).

        Returns:
            one answer for each image; an image file that cannot be read has an `error`.

        Raises:
            NoInputError: no image, or the bank has no task yet.
            BankError: no task can be read, or the one given is not there.

        Warns:
            RuntimeWarning: a task that may be that of an image cannot be read; the others answer.
        """
        opened: OpenTasks
        opened = self._opened() if task is None else open_tasks(self.path, self._device, [task])
        inputs = self._inputs(images)
        decision = DecisionRequest("auto", None, "image", self._device)
        return warned(predict.predict_open(opened, inputs, decision, task, _SILENT)).results

    def infer(
        self,
        images: Any,
        *,
        method: str = "auto",
        objective: str | None = None,
        group: str = "image",
        top: int = 3,
    ) -> tuple[InferredSource, ...]:
        """Name the task that each image, or each group of images, belongs to.

        Args:
            images: see `predict`.
            method: auto, signature, one-shot, binary, descent or exhaustive.
            objective: H, G or R; None uses the method's best.
            group: images decided together: image, folder, all, or a number of images.
            top: number of scores in each answer.

        Returns:
            one answer for each image or group.

        Raises:
            UsageError: an option cannot be used.
            NoInputError, BankError: see `predict`.
        """
        decision = DecisionRequest(method, objective, group, self._device)
        inputs = self._inputs(images)
        found = infer_task.infer_open(self._opened(), inputs, decision, top, _SILENT)
        return warned(found).results

    def _learn(
        self,
        data: Sequence[str],
        name: str | None,
        reading: Reading = DEFAULT,
        given: TaskData | None = None,
        *,
        recipe: str = "default",
        steps: int | None = None,
        batch_size: int | None = None,
        density: str | None = None,
        augment: str | None = None,
        seed: int = 0,
    ) -> LearnedTask:
        request = LearnRequest(
            data=data,
            name=name,
            recipe=recipe,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            device=self._device,
            density=density,
            augment=augment,
            reading=reading,
            given=given,
        )
        return learn_task.learn_task(self.path, request, _SILENT).tasks[0]

    def _inputs(self, images: Any) -> InputRequest:
        paths = [images] if isinstance(images, (str, Path)) else images
        named = isinstance(paths, (list, tuple)) and len(paths) > 0
        if named and all(isinstance(one, (str, Path)) for one in paths):
            return InputRequest([str(one) for one in paths], sys.stdin, (), None, 0)
        given = as_images(images, self.input_shape)
        if len(given) == 0:
            raise NoInputError("0 images found, expected at least one")
        return InputRequest((), sys.stdin, (), None, 0, given=given)

    def _opened(self) -> OpenTasks:
        """Open all tasks, or reuse those of the last call, because task files never change."""
        bank = _BankOnDisk.open(self.path)
        paths = [task_path(self.path, name) for name in bank.tasks()]
        now = [(str(path), path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]
        if self._open is None or self._open[0] != now:
            self._open = now, open_lazily(self.path, self._device)
        return self._open[1]


def create(
    path: str | Path,
    *,
    arch: str = "lenet-300-100",
    input_shape: tuple[int, int, int] = (1, 28, 28),
    outputs: int = 500,
    real_outputs: int = 10,
    seed: int = 0,
    init: str = "",
    weights: str | Path | None = None,
    new_head: bool = False,
    device: str = "auto",
) -> Bank:
    """Create a bank with its frozen network, or open the equal one that is there.

    Args:
        path: its folder.
        arch: as for `supsup init-base --arch`.
        input_shape: (C, H, W).
        outputs: superfluous ones included.
        real_outputs: those that may be classes.
        seed: of the weights.
        init: signed-constant, which "" stands for, or kaiming-normal.
        weights: safetensors file of a trained network; None draws the weights.
        new_head: draw the last layer although there are weights.
        device: see `Bank`.

    Raises:
        SupsupError, BankError: as `supsup init-base`.
    """
    file = None if weights is None else Path(weights)
    request = BaseRequest(arch, input_shape, outputs, real_outputs, seed, init, file, new_head)
    init_base.init_base(Path(path), request)
    return Bank(path, device=device)


def _examples(dataset: Any) -> Iterator[tuple[Any, int]]:
    """Iterate over a dataset by its length if it has one, because torch's may have no other end."""
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        for place in range(len(dataset)):
            yield dataset[place]
    else:
        yield from dataset
