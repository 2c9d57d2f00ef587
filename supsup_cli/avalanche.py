"""A bank as a strategy for Avalanche's benchmarks, like the library's own.

    from avalanche.benchmarks import SplitMNIST
    from torchvision.transforms import ToTensor
    from supsup_cli.avalanche import SupSup

    benchmark = SplitMNIST(5, train_transform=ToTensor(), eval_transform=ToTensor())
    strategy = SupSup(bank="bank", steps=1000)
    for experience in benchmark.train_stream:
        strategy.train(experience)
        print(strategy.eval(benchmark.test_stream))

It needs the extra: pip install 'supsup[avalanche]'. Images must have pixels from 0 to 1, not
normalised: the bank normalises them itself.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from avalanche.training.plugins.evaluation import default_evaluator
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn import functional as F

from bank_format.store.layout import BANK_FILE
from supsup_cli import api
from supsup_cli.errors import NoInputError

__all__ = ["SupSup"]

# Logit of the classes that were not answered; the answer has 0.
_OTHER = -10.0


class SupSup(SupervisedTemplate):  # type: ignore[misc]  # the library has no types
    """Learn each experience as a task of a bank; infer task and class of each image.

    An experience is learned once and never changes, so nothing is forgotten; one that is already in
    the bank is used as it is. An image's answer does not depend on the others in its batch. Its
    logits are 0 for the named class and −10 for all others, so accuracies are exact, but losses are
    not those of a softmax. Classes are known by their numbers in the benchmark.

    Args:
        bank: its folder; an existing bank with other settings is used as it is.
        names: of the tasks, in the order of the experiences; None: experience-0 and so on.
        task_given: whether an image's task is given (GG): its experience, in `eval`.
        recipe: default, paper, separable or fast.
        steps: updates for a task; None takes the recipe's.
        batch_size: images of an update; None takes the recipe's.
        seed: of the network, if it is drawn now, and of every draw.
        device: auto, cpu, cuda or cuda:N.
        arch: of a new bank, see `api.create`, as are the next two.
        outputs: superfluous ones included.
        real_outputs: the most classes of one experience.
        eval_mb_size: images answered at once.
        plugins: of the library.
        evaluator: of the library: metrics and loggers.
        eval_every: as in the library: 0 evaluates after each experience, −1 not by itself.
    """

    def __init__(
        self,
        *,
        bank: str | Path,
        names: Sequence[str] | None = None,
        task_given: bool = False,
        recipe: str = "default",
        steps: int | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        device: str = "auto",
        arch: str = "lenet-300-100",
        outputs: int = 500,
        real_outputs: int = 10,
        eval_mb_size: int = 512,
        plugins: Sequence[Any] | None = None,
        evaluator: Any = default_evaluator,
        eval_every: int = -1,
    ) -> None:
        self._path = Path(bank)
        self._names = names
        self._task_given = task_given
        self._recipe, self._steps, self._batch_size = recipe, steps, batch_size
        self._arch, self._outputs, self._real_outputs = arch, outputs, real_outputs
        self._seed = seed
        self._device = device
        self.bank: api.Bank | None = None
        super().__init__(
            model=_Nothing(),
            optimizer=torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.0),
            criterion=F.cross_entropy,
            eval_mb_size=eval_mb_size,
            device="cpu",
            plugins=plugins,
            evaluator=evaluator,
            eval_every=eval_every,
        )

    def make_optimizer(self, **_: Any) -> None:
        """Do nothing to the optimizer, because the bank uses its own."""

    def forward(self) -> Tensor:
        """Answer the current images: (B, classes) float32, the largest names the class."""
        images: Tensor = self.mb_x
        task = self._name(self.experience.current_experience) if self._task_given else None
        try:
            answers = self._opened(images).predict(images, task=task)
        except NoInputError:  # before the first experience, no class is likelier than another
            return torch.zeros(len(images), int(self.mb_y.max()) + 1)
        named = torch.tensor([int(str(answer.label)) for answer in answers])
        classes = 1 + int(torch.cat((named, self.mb_y)).max())
        return torch.full((len(images), classes), _OTHER).scatter(1, named[:, None], 0.0)

    def _train_exp(self, experience: Any, eval_streams: Any = None, **_: Any) -> None:
        """Learn an experience's mask; the library's plugins are called before and after."""
        dataset = experience.dataset
        classes = sorted({int(label) for label in dataset.targets})
        places = {label: place for place, label in enumerate(classes)}
        examples = [(image, places[int(label)]) for image, label, *_ in dataset]
        self._opened(examples[0][0][None]).learn_dataset(
            self._name(experience.current_experience),
            examples,
            test=(),
            classes=[str(label) for label in classes],
            recipe=self._recipe,
            steps=self._steps,
            batch_size=self._batch_size,
            seed=self._seed,
        )

    def _name(self, number: int) -> str:
        return f"experience-{number}" if self._names is None else self._names[number]

    def _opened(self, images: Tensor) -> api.Bank:
        """Open the bank, or create it for images (…, C, H, W) of this shape."""
        if self.bank is None:
            if (self._path / BANK_FILE).exists():
                self.bank = api.Bank(self._path, device=self._device)
            else:
                channels, height, width = images.shape[-3:]
                self.bank = api.create(
                    self._path,
                    arch=self._arch,
                    input_shape=(channels, height, width),
                    outputs=self._outputs,
                    real_outputs=self._real_outputs,
                    seed=self._seed,
                    device=self._device,
                )
        return self.bank


class _Nothing(nn.Module):
    """The model that the library asks for; the bank has the network."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the images."""
        return images
