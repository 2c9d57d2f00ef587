import math

import numpy as np
import pytest
import torch

from supsup_cli.core.images import Pixels
from supsup_cli.core.inference.novelty import (
    CALIBRATION_LEVELS,
    DAMPED_LOG_ODDS,
    Calibration,
    damped_log_odds,
    false_alarm_share,
    group_level,
    novelty_threshold,
    run_mask,
)
from supsup_cli.core.masks.superposition import log_odds
from supsup_cli.core.networks.specs import MultilayerPerceptron
from tests.support.networks import signed_constant

OWN = torch.arange(12) < 3


def calibrated(values: np.ndarray, levels: tuple[float, ...] = CALIBRATION_LEVELS) -> Calibration:
    found = tuple(np.quantile(values, levels).tolist())
    return Calibration(DAMPED_LOG_ODDS, len(values), levels, found)


def test_damping_divides_by_an_energy_above_one_alone() -> None:
    images = torch.tensor([0.5, 1.0, 3.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    logits = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    found = damped_log_odds(logits, OWN, images)
    torch.testing.assert_close(found[:2], log_odds(logits[:2], OWN))
    torch.testing.assert_close(found[2:], log_odds(logits[2:] / 3, OWN))


def test_a_brighter_image_of_a_net_without_biases_fits_no_better() -> None:
    network = signed_constant(MultilayerPerceptron((16, 8, 12)), seed=0)
    masks = {name: torch.ones(weight.shape) for name, weight in network.named_parameters()}
    pixels = Pixels(torch.zeros(1, 1, 1), torch.full((1, 1, 1), 1 / 255))
    images = torch.full((1, 1, 4, 4), 2, dtype=torch.uint8)
    outputs = torch.arange(3)
    once, tenfold = (
        run_mask(network, masks, one, pixels, outputs)[0] for one in (images, images * 10)
    )
    torch.testing.assert_close(once, tenfold)
    plain = [
        run_mask(network, masks, one, pixels, outputs, "R")[0] for one in (images, images * 10)
    ]
    assert abs(float(plain[0] - plain[1])) > 1


def test_misfits_of_no_image_are_none() -> None:
    network = signed_constant(MultilayerPerceptron((16, 8, 12)), seed=0)
    masks = {name: torch.ones(weight.shape) for name, weight in network.named_parameters()}
    nothing = torch.empty(0, 1, 4, 4, dtype=torch.uint8)
    pixels = Pixels(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    assert run_mask(network, masks, nothing, pixels, torch.arange(3))[0].shape == (0,)


def test_more_tasks_may_give_more_false_alarms_within_bounds() -> None:
    shares = [false_alarm_share(tasks) for tasks in (1, 4, 16, 50, 64, 2500)]
    assert shares == sorted(shares)
    assert shares[0] == shares[1] == 0.001
    assert shares[3] == pytest.approx(0.0005 * math.sqrt(50))
    assert shares[4] == shares[5] == 0.004


@pytest.mark.parametrize("images", [1, 2, 3, 5, 7])
def test_the_level_of_a_group_gives_the_share_of_false_alarms(images: int) -> None:
    level = group_level(images, 0.01)
    draws = np.random.default_rng(images).random((200_000, images))
    # the lower median is beyond the level exactly if more than half of the images are
    medians = np.sort(draws, axis=1)[:, (images - 1) // 2]
    assert (medians > level).mean() == pytest.approx(0.01, abs=0.0012)


def test_one_image_is_held_against_the_plain_level_and_a_large_group_against_the_least() -> None:
    assert group_level(1, 0.003) == pytest.approx(0.997)
    levels = [group_level(images, 0.003) for images in (1, 3, 5, 9, 15, 1000, 100_000)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-2:] == [0.8, 0.8]


@pytest.mark.parametrize(("tasks", "share"), [(1, 0.001), (16, 0.002), (100, 0.004)])
def test_the_threshold_is_the_quantile_where_enough_images_lie_beyond_it(
    tasks: int, share: float
) -> None:
    values = np.random.default_rng(0).normal(-5, 1.5, 20_000)
    threshold = novelty_threshold(calibrated(values), tasks)
    assert threshold == pytest.approx(np.quantile(values, 1 - share), abs=1e-9)


def test_levels_of_older_files_are_read_between() -> None:
    levels = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 1.0)
    old = Calibration("R", 3000, levels, tuple(range(13)))
    assert novelty_threshold(old, 36) == pytest.approx(10 + 2 / 3)  # level .997
    assert novelty_threshold(old, 16) == pytest.approx(11.0)  # level .998


@pytest.mark.parametrize("images", [20, 30, 60, 150, 500])
def test_few_images_give_a_wide_threshold_and_few_false_alarms(images: int) -> None:
    stream = np.random.default_rng(images)
    shares = []
    for _ in range(200):
        threshold = novelty_threshold(calibrated(stream.normal(-5, 1.5, images)), 16)
        shares.append((stream.normal(-5, 1.5, 2000) > threshold).mean())
    assert np.mean(shares) < 0.004
    assert novelty_threshold(calibrated(stream.normal(-5, 1.5, images)), 16) < 15


def test_nothing_is_new_where_there_is_nothing_to_judge_by() -> None:
    values = np.linspace(-6, -2, 19)
    assert novelty_threshold(None, 5) == math.inf
    assert novelty_threshold(calibrated(values), 5) == math.inf
    assert novelty_threshold(calibrated(np.append(values, -1)), 5) < math.inf
    strange = Calibration("another", 3000, (0.0, 1.0), (-3.0, -1.0))
    assert novelty_threshold(strange, 5) == math.inf
