"""The update rules of recipes as torch.optim has them, the reference for ours."""

from collections.abc import Iterable
from functools import partial

from torch import Tensor
from torch.optim import SGD, Adam, Optimizer, RMSprop
from torch.optim.lr_scheduler import ConstantLR, LambdaLR, LRScheduler, OneCycleLR

from supsup_cli.core.learning.recipes import Recipe, half_cosine, inverse_root, learning_rates


def torch_rule(recipe: Recipe, tensors: Iterable[Tensor]) -> tuple[Optimizer, LRScheduler]:
    """Open a recipe's rule and schedule over tensors, from the input on."""
    parameters = list(tensors)
    rates = learning_rates(recipe, [tuple(one.shape) for one in parameters])
    groups = [{"params": [one], "lr": rate} for one, rate in zip(parameters, rates, strict=True)]
    rule: Optimizer
    if recipe.optimiser == "adam":
        rule = Adam(groups, fused=True)
    elif recipe.optimiser == "rmsprop":
        rule = RMSprop(groups, foreach=True)
    else:
        rule = SGD(groups, momentum=0.9, weight_decay=1e-4, foreach=True)
    if recipe.schedule == "one-cycle":
        return rule, OneCycleLR(rule, max_lr=rates, total_steps=recipe.steps)
    if recipe.schedule == "cosine":
        return rule, LambdaLR(rule, partial(half_cosine, recipe.steps))
    if recipe.schedule == "inverse-root":
        return rule, LambdaLR(rule, inverse_root)
    return rule, ConstantLR(rule, factor=1.0, total_iters=0)
