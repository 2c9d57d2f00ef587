"""How tasks are told apart: the method requested and chosen, and images decided together."""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from supsup_cli.choices import METHODS as ALL_METHODS
from supsup_cli.choices import OBJECTIVES as ALL_OBJECTIVES
from supsup_cli.choices import check_choice
from supsup_cli.core.inference.methods import METHODS, Method
from supsup_cli.core.inference.short_list import FEW_TRIED, MOST_TRIED
from supsup_cli.core.loops import compilations
from supsup_cli.core.masks.superposition import OBJECTIVES, Objective
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.anew import anew
from supsup_cli.workflows.hopfield.attractors import OpenAttractors, open_attractors
from supsup_cli.workflows.lazy_tasks import LazyTasks
from supsup_cli.workflows.open_signatures import OpenSignatures, open_signatures
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.reporting import Reporter

_GROUP_SIZE = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class DecisionRequest:
    """How to decide: method, objective (None is the method's own), group, device."""

    method: str
    objective: str | None
    group: str
    device: str


@dataclass(frozen=True)
class Rule:
    """How tasks are told apart: method and objective as chosen, group as asked for.

    The methods `auto` and `signature` have the tasks' signatures, `hopfield` has the attractors. At
    most `most_tried` masks are tried for one decision.
    """

    method: Method | Literal["auto", "signature", "hopfield"]
    objective: Objective
    group: str
    attractors: OpenAttractors | None = None
    signatures: OpenSignatures | None = None
    most_tried: int = MOST_TRIED


def settle(
    opened: OpenTasks, decision: DecisionRequest, reporter: Reporter
) -> tuple[OpenTasks, Rule]:
    """Choose the rule of tasks that may be read lazily; all are read where it needs every mask.

    Returns:
        the tasks that compete, and the rule.

    Raises:
        As `choose_rule`.
    """
    if isinstance(opened, LazyTasks):
        by_signatures = decision.method == "signature" or (
            decision.method == "auto" and decision.objective is None
        )
        if by_signatures:
            rule = choose_rule(opened, decision, reporter)
            if rule.signatures is not None:
                return opened, rule
        opened = anew(opened, opened.complete)
    return opened, choose_rule(opened, decision, reporter)


def choose_rule(opened: OpenTasks, decision: DecisionRequest, reporter: Reporter) -> Rule:
    """Choose method and objective; with `auto`, signatures choose the masks to try.

    If no task has a signature, or an objective was asked for, `auto` tries every mask. Masks are
    compared by R. H is used instead without superfluous outputs, where R does not exist, and on
    networks that normalise, where H names more tasks.

    Raises:
        UsageError: an unknown value, an objective that this bank's outputs or the method do not
            allow, or attractors in a bank that cannot have any.
        NoInputError: attractors have not been encoded, or no task has a signature.
        BankError: attractors cannot be read.
    """
    method, objective, group = decision.method, decision.objective, decision.group
    check_choice("--method", method, ALL_METHODS)
    if objective is not None:
        check_choice("--objective", objective, ALL_OBJECTIVES)
    if group not in ("image", "folder", "all") and not _GROUP_SIZE.fullmatch(group):
        raise UsageError(f"--group {group}: expected image, folder, all or a number of images")
    by_image = "image" if group == "1" else group
    if method == "hopfield":
        if objective not in (None, "H"):
            raise UsageError(f"--objective {objective} with --method hopfield: expected H")
        attractors = open_attractors(opened.net, opened.tasks, reporter, opened.failures)
        if by_image == "image":
            reporter.note(
                "each mask is recovered from one image alone, which is often too little: "
                "--group folder, all or a number of images"
            )
        return Rule("hopfield", "H", by_image, attractors)
    if method == "signature" and objective is not None:
        raise UsageError(f"--objective {objective} with --method signature: expected none")
    if method == "signature" or (method == "auto" and objective is None):
        rule = _by_signatures(opened, method, by_image, reporter)
        if rule is not None:
            return rule
    chosen: Method = next((one for one in METHODS if one == method), "exhaustive")
    if chosen != "exhaustive" and opened.net.trained:
        raise UsageError(
            f"--method {method}: tasks with last layers of their own found, which no mixture of "
            "masks has; expected auto, signature or exhaustive"
        )
    compared = opened.own if chosen == "exhaustive" else opened.real[None]
    superfluous = not bool(compared.all(-1).any())
    odds = superfluous and chosen == "exhaustive" and not opened.by_doubt
    preferred: Objective = "R" if odds else "H"
    by: Objective = next((one for one in OBJECTIVES if one == objective), preferred)
    if by != "H" and not superfluous:
        raise UsageError(
            f"--objective {by}: no superfluous outputs found among {compared.shape[-1]}",
            hint="use --objective H, or make a bank with more --outputs",
        )
    return Rule(chosen, by, by_image)


def _by_signatures(opened: OpenTasks, method: str, group: str, reporter: Reporter) -> Rule | None:
    """Open the tasks' signatures; None if no task has one, and `auto` does without.

    Raises:
        NoInputError: `signature` was asked for, and no task has one.
    """
    signatures = open_signatures(opened)
    sign = f"supsup tasks sign --bank {shlex.quote(str(opened.net.bank.path))}"
    if signatures is None:
        if method == "signature":
            raise NoInputError(
                f"{opened.net.bank.path}: no signature found among {len(opened.tasks)} tasks",
                hint=sign,
            )
        return None
    count = len(signatures.unsigned)
    if count:
        reporter.note(
            f"{count} of {len(opened.tasks)} tasks have no signature, and are always tried: {sign}"
        )
    odds = opened.superfluous and not opened.by_doubt
    return Rule(
        "signature" if method == "signature" else "auto",
        "R" if odds else "H",
        group,
        signatures=signatures,
        most_tried=FEW_TRIED if opened.net.trained else MOST_TRIED,
    )


@contextmanager
def told_of_compiling(reporter: Reporter) -> Iterator[None]:
    """Note why decisions took seconds longer than they will next time, if they did."""
    before = compilations()
    yield
    if compilations() > before:
        reporter.note(
            "loops over packed masks were compiled for this processor; the next command finds them"
        )


def group_places(group: str, folders: Sequence[str]) -> list[list[int]]:
    """Split image positions into groups that are decided together, each in order.

    Args:
        group: image, folder, all, or a number N of images in order.
        folders: folder of each image.
    """
    places = list(range(len(folders)))
    if group == "all":
        return [places]
    if group == "folder":
        by_folder = sorted(places, key=lambda place: folders[place])
        return [list(part) for _, part in groupby(by_folder, key=lambda place: folders[place])]
    size = 1 if group == "image" else int(group)
    return [places[start : start + size] for start in range(0, len(places), size)]
