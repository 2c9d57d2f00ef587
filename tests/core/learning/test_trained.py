"""Learning over trained weights: which are dropped, a task's own head, continuing a state."""

import dataclasses

import pytest
import torch

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.recipes import DEFAULT, Recipe, for_network
from supsup_cli.core.learning.trained import TrainedLearning
from supsup_cli.core.networks.adapter import base_tensors
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze, masked_parameters
from tests.support.trained import library_network

_SIDE = 32
_NAME = "shufflenet_v2_x0_5"
_NETWORK = build_network(NetworkSpec(f"torchvision/{_NAME}", (3, _SIDE, _SIDE), 4))


def _state() -> dict[str, torch.Tensor]:
    """Return drawn weights, with the statistics that they have on noise: features of size one."""
    network = library_network(_NAME).train()
    noise = torch.Generator().manual_seed(0)
    for _ in range(30):
        network(torch.randn(16, 3, _SIDE, _SIDE, generator=noise))
    return network.state_dict()


_STATE = _state()
freeze(_NETWORK, {key: _STATE[key].numpy() for key in base_tensors(_NETWORK)}, torch.device("cpu"))
_MASKED = masked_parameters(_NETWORK)
_COUNT = sum(_NETWORK.get_parameter(name).numel() for name in _MASKED)
_RECIPE = dataclasses.replace(
    for_network(DEFAULT, "trained"), steps=8, batch_size=6, drop=0.001, learning_rate=0.02
)


def _data() -> LabelledImages:
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(12) % 2
    images = torch.randint(0, 60, (12, 3, _SIDE, _SIDE), generator=stream)
    images[labels == 1] += 150
    return LabelledImages(images.to(torch.uint8), labels * 2 + 1)


def _learning(recipe: Recipe = _RECIPE) -> TrainedLearning:
    pixels = Pixels(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.5))
    rows = torch.tensor([3, 1])
    return TrainedLearning(
        _NETWORK, _MASKED, _data(), pixels, recipe, seed=0, task="one", rows=rows
    )


def _take_all(learning: TrainedLearning) -> TrainedLearning:
    while not learning.done:
        learning.advance()
    return learning


def test_as_many_weights_are_dropped_as_were_asked_for_and_the_head_tells_classes_apart() -> None:
    learning = _take_all(_learning(dataclasses.replace(_RECIPE, steps=30)))
    dropped = sum(int((~mask).sum()) for mask in learning.masks().values())
    assert dropped == round(0.001 * _COUNT)
    weight, bias = learning.head()
    assert (weight.dtype, weight.shape, bias.shape) == (torch.float16, (2, 1024), (2,))
    data = _data()
    masks = {name: _NETWORK.get_parameter(name) * one for name, one in learning.masks().items()}
    pixels = Pixels(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.5))
    features = torch.func.functional_call(_NETWORK, masks, (pixels(data.store),))
    right = (features @ weight.float().T + bias.float()).argmax(1) == (data.targets == 1).long()
    assert int(right.sum()) == 12


def test_nothing_is_dropped_where_nothing_speaks_against_it() -> None:
    learning = _learning(dataclasses.replace(_RECIPE, drop=0.0))
    assert all(bool(mask.all()) for mask in _take_all(learning).masks().values())
    assert all(bool(mask.all()) for mask in _learning().masks().values())


@pytest.mark.parametrize("augment", ["flip", "", "flip,shift"])
def test_one_that_was_left_goes_on_to_the_same_bits(augment: str) -> None:
    recipe = dataclasses.replace(_RECIPE, augment=augment)
    whole = _take_all(_learning(recipe))
    left = _learning(recipe)
    for _ in range(3):
        left.advance()
    other = _learning(recipe)
    other.restore(left.state(), left.steps_done)
    _take_all(other)
    assert all(torch.equal(one, other.state()[name]) for name, one in whole.state().items())
    assert all(torch.equal(one, other.masks()[name]) for name, one in whole.masks().items())


def test_kept_values_are_those_of_the_images() -> None:
    kept = _learning(dataclasses.replace(_RECIPE, steps=4))  # 24 images of 12, each in two views
    anew = _learning(dataclasses.replace(_RECIPE, steps=3))  # too few to keep any
    places = torch.tensor([5, 0, 11])
    for step in range(4):
        pairs = zip(kept._lower.batch(places, step), anew._lower.batch(places, step), strict=True)
        assert all(torch.allclose(one, other, atol=1e-5) for one, other in pairs)
    assert len(kept._lower._kept) == 2
    assert anew._lower._kept == ()


def test_another_state_is_refused() -> None:
    learning = _learning()
    state = learning.state()
    with pytest.raises(ValueError, match="state velocity"):
        learning.restore({**state, "velocity": torch.zeros(3)}, 1)
    with pytest.raises(ValueError, match="state of 9 steps"):
        learning.restore(state, 9)
    empty = LabelledImages(_data().store[:0], _data().targets[:0])
    pixels = Pixels(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    with pytest.raises(ValueError, match="no training images"):
        TrainedLearning(
            _NETWORK, _MASKED, empty, pixels, _RECIPE, seed=0, task="one", rows=torch.tensor([1])
        )
