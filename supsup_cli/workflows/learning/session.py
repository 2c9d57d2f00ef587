"""The tasks of one `learn-task`: claim, learn, commit and report each."""

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from bank_format.encoding.canonical_json import Json
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import BankError, LockedError, NameTakenError
from bank_format.index.writing import IndexKeeper
from bank_format.kinds.mask import Task
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.data import catalog
from supsup_cli.data.splits import TaskData
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.learning.detect import known_task
from supsup_cli.workflows.learning.one_task import discard_state, learn_job
from supsup_cli.workflows.learning.plan import LearningJob, LearnRequest, Plan, equal_task
from supsup_cli.workflows.learning.task_facts import describe
from supsup_cli.workflows.opening import OpenNetwork
from supsup_cli.workflows.ranks import ALONE, Ranks
from supsup_cli.workflows.reporting import Advance, Reporter, Stop
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.learning import LearnedTask, LearnResult


@dataclass
class LearnSession:
    """The tasks of one command, and what is done."""

    net: OpenNetwork
    plans: list[Plan]
    recipe: Recipe
    request: LearnRequest
    reporter: Reporter
    stop: Stop
    ranks: Ranks = ALONE
    done: dict[str, LearnedTask] = field(default_factory=dict)
    failed: dict[str, list[FailedInput]] = field(default_factory=dict)
    index: IndexKeeper | None = None  # none in a worker, whose parent keeps it

    @property
    def looks_at_others(self) -> bool:
        """Whether the result of a task depends on which other tasks exist."""
        earlier = self.recipe.transfer or self.recipe.combine is not None
        return earlier or self.request.detect

    def learn(self, plan: Plan, advance: Advance) -> bool:
        """Learn a task; False if another process is learning it."""
        try:
            self.learn_or_refuse(plan, advance)
        except LockedError:
            if len(self.plans) > 1 and self.ranks.count == 1:
                self.reporter.note(f"task {plan.task}: another process learns it; its turn is last")
            return False
        return True

    def learn_or_refuse(self, plan: Plan, advance: Advance) -> None:
        """Claim a task and learn it, unless it appeared meanwhile.

        Raises:
            LockedError: another process is learning it.
        """
        if self.stop.asked:  # while the last task was committed
            raise KeyboardInterrupt
        bank = self.net.bank
        with bank.work.claim(plan.task) as work:
            seed = self.request.seed
            if plan.task in bank.tasks():
                if self.ranks.count > 1:  # the rank that learned it has counted its steps
                    return
                self.found(equal_task(self.net, plan, self.recipe, seed))
                advance(self.recipe.steps)
                return
            data = self.read(plan)
            known = known_task(self.net, data) if self.request.detect else None
            if known is not None:
                self.done[plan.task] = describe(known, "known", 0.0)
                self.reporter.note(f"{plan.data}: belongs to task {known.content.task!r}")
                discard_state(work)  # started when the bank did not know the task yet
                advance(self.recipe.steps)
                return
            job = LearningJob(plan.task, data, self.recipe, seed, self.request.signature)
            try:
                task = learn_job(self.net, job, work, self.reporter, self.stop, advance)
            except NameTakenError:  # another learner was faster, and no lock had shown it
                self.found(equal_task(self.net, plan, self.recipe, seed))
                return
            self.learned(task)

    def learned(self, task: Task) -> None:
        """Take up a task that was learned just now."""
        self.done[task.content.task] = describe(task, "learned", task.provenance.seconds)
        if self.index is not None:
            self.index.added()

    def read(self, plan: Plan) -> TaskData:
        """Read the data of a task, and report broken files.

        Raises:
            UsageError, NoInputError, StorageError: see `catalog.load`.
        """
        shape = self.net.bank.record.input.shape
        data = self.request.given or catalog.load(
            plan.data, shape, seed=self.request.seed, reading=self.request.reading
        )
        self.failed[plan.task] = [FailedInput(source, error) for source, error in data.broken]
        if data.source:
            self.reporter.note(f"task {plan.task}: {_counted(data)}")
        for note in data.notes:
            self.reporter.note(f"task {plan.task}: {note}")
        return data

    def found(self, task: Task) -> None:
        """Use a task that already exists; remove what is left of its learning."""
        self.done[task.content.task] = describe(task, "exists", 0.0)
        # A learner that still holds it may keep it, and so may a bank that cannot be written.
        with suppress(BankError):
            self.net.bank.work.discard(task.content.task)

    def result(self) -> LearnResult:
        """Return the tasks in the order of the plans."""
        done = tuple(self.done[plan.task] for plan in self.plans if plan.task in self.done)
        failed = tuple(one for plan in self.plans for one in self.failed.get(plan.task, ()))
        return LearnResult(done, failed)

    def left_over(self, elsewhere: Sequence[Plan]) -> list[Plan]:
        """Return what is still to be learned after this process has tried every task.

        Args:
            elsewhere: what it could not learn because other processes were learning it.

        Raises:
            PartDeliveredError: this is not rank 0, which does the rest.
        """
        if self.ranks.count == 1:
            return list(elsewhere)
        parts = self.ranks.gathered([to_json(self.failed)])
        for (failed,) in parts:
            for task, inputs in cast("dict[str, list[Json]]", failed).items():
                self.failed[task] = [from_json(FailedInput, one) for one in inputs]
        self.take_up_learned()
        return [plan for plan in self.plans if plan.task not in self.done]

    def take_up_learned(self) -> None:
        """Read what other ranks have learned."""
        there = set(self.net.bank.tasks())
        for plan in self.plans:
            if plan.task in there and plan.task not in self.done:
                task = equal_task(self.net, plan, self.recipe, self.request.seed)
                self.done[plan.task] = describe(task, "learned", task.provenance.seconds)

    def stopped(self, how_far: str) -> StoppedError:
        """Report what is done, and what the same command will do next."""
        if self.ranks.count > 1 and self.ranks.rank == 0:
            self.take_up_learned()
        counted = f"{len(self.done)} of {len(self.plans)} tasks are done"
        return StoppedError(
            f"interrupted; {how_far}; {counted}" if how_far else f"interrupted; {counted}",
            hint="type the same command again: it goes on from there",
            beside=dataclasses.asdict(self.result()),
        )


def _counted(data: TaskData) -> str:
    """List a folder's classes by name, with the number of training images of each."""
    counts = np.bincount(data.train.labels, minlength=len(data.classes)).tolist()
    classes = ", ".join(
        f"{name} {count:,}" for name, count in zip(data.classes, counts, strict=True)
    )
    return f"{len(data.classes)} classes ({classes} images); {data.parts}"
