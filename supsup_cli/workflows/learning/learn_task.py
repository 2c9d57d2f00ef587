"""`learn-task`: learn a mask for each task and commit each as soon as it is done."""

from pathlib import Path

from bank_format.index.writing import index_kept
from supsup_cli.core.networks.specs import kind_of
from supsup_cli.workflows.learning.plan import (
    LearnRequest,
    check_classes,
    chosen_recipe,
    equal_task,
    make_plans,
)
from supsup_cli.workflows.learning.scheduling import places
from supsup_cli.workflows.learning.session import LearnSession
from supsup_cli.workflows.opening import open_network
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import NeverStop, Reporter, Stop
from supsup_cli.workflows.results.learning import LearnResult

_NEVER = NeverStop()


def learn_task(
    path: Path,
    request: LearnRequest,
    reporter: Reporter,
    stop: Stop = _NEVER,
    ranks: Ranks = ALONE,
) -> LearnResult:
    """Learn the tasks in order; equal tasks that already exist are left alone.

    All names and claims are checked before any data are read; each task is claimed when its turn
    comes. Several tasks of a small network are learned side by side, see `scheduling`. If another
    process is learning a task, this one comes back to it last. With `detect`, data of a known task
    are not learned, and the answer is the known task. Ranks take tasks by the same claims, so a
    slow rank takes fewer; if tasks depend on earlier ones, only rank 0 learns.

    Raises:
        UsageError, NoInputError, TooManyClassesError: what was asked for cannot be learned.
        NameTakenError: another task has that name.
        LockedError: another process is learning it.
        StoppedError: it was stopped; the same command continues.
        BankError: the bank cannot be read or written.
    """
    net = open_network(path, request.device)
    recipe = chosen_recipe(request, kind_of(net.network))
    plans = make_plans(net, request)
    taken = set(net.bank.tasks())
    there = {
        plan.task: equal_task(net, plan, recipe, request.seed)
        for plan in plans
        if plan.task in taken
    }
    for plan in plans:
        if plan.task not in there:
            check_classes(net, plan, request.reading, reporter, request.given)
    ranks.meet()  # a rank that had started would hold a claim, and the command would find its task
    session = LearnSession(net, plans, recipe, request, reporter, stop, ranks)
    for task in there.values():
        session.found(task)
    left = [plan for plan in plans if plan.task not in there]
    try:
        with (
            index_kept(net.bank) as session.index,
            places(session, left) as learn_all,
            reporter.track("learning", len(left) * recipe.steps, "steps") as advance,
        ):
            learn_all(advance)
    except KeyboardInterrupt as interrupt:
        raise session.stopped(str(interrupt)) from None
    net.bank.settle()
    return session.result()
