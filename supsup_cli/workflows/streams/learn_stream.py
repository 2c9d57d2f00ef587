"""`learn-stream`: learn tasks from batches with hidden boundaries (scenario NNs)."""

import dataclasses
import time
from contextlib import suppress
from pathlib import Path

from bank_format.errors import BankError
from bank_format.index.writing import index_kept
from bank_format.kinds.mask import Task
from bank_format.kinds.state import WorkFolder
from supsup_cli.core.learning.mask_learner import check_finite
from supsup_cli.core.streams.stream_masks import FrozenNetwork
from supsup_cli.errors import StoppedError, UsageError
from supsup_cli.workflows.learning.checkpoints import Checkpoints, digest_with_versions
from supsup_cli.workflows.learning.one_task import discard_state
from supsup_cli.workflows.learning.plan import check_classes
from supsup_cli.workflows.learning.task_facts import describe
from supsup_cli.workflows.learning.threads import threads_restored
from supsup_cli.workflows.opening import OpenNetwork, open_network
from supsup_cli.workflows.reporting import Advance, NeverStop, Reporter, Stop
from supsup_cli.workflows.results.streams import StreamDecision, StreamResult
from supsup_cli.workflows.streams.commits import StreamCommits, homes_of, tasks_of
from supsup_cli.workflows.streams.data import StreamData
from supsup_cli.workflows.streams.plan import (
    StreamPlan,
    StreamRequest,
    plan_stream,
    stream_batches,
    task_of,
)
from supsup_cli.workflows.streams.run import StreamRun

_NEVER = NeverStop()


def learn_stream(
    path: Path, request: StreamRequest, reporter: Reporter, stop: Stop = _NEVER
) -> StreamResult:
    """Learn a stream to its end, then commit each mask once, as NAME-0, NAME-1, …

    The learner gets batches and nothing else. Only when it is done is each mask named, measured and
    calibrated, on the data that most of its batches came from.

    A stream that was learned before is left alone; one that was stopped continues where it was.

    Raises:
        UsageError, NoInputError, TooManyClassesError: what was asked for cannot be learned.
        NameTakenError: a name that the stream may need is another task's.
        LockedError: another process is learning a stream of that name.
        StoppedError: it was stopped; the same command continues.
        BankError: the bank cannot be read or written.
    """
    began = time.perf_counter()
    net = open_network(path, request.device)
    plan = plan_stream(net, request)
    session = _StreamSession(net, plan, request, reporter, stop, began)
    there = tasks_of(net, plan, request)
    if _is_whole(there):
        return session.found(there)
    with net.bank.work.claim(task_of(request, 0)) as work:
        there = tasks_of(net, plan, request)
        if not _is_whole(there):
            return session.learn(work)
    return session.found(there)


@dataclasses.dataclass(frozen=True)
class _StreamSession:
    """One command's run over a stream."""

    net: OpenNetwork
    plan: StreamPlan
    request: StreamRequest
    reporter: Reporter
    stop: Stop
    began: float

    def found(self, tasks: list[Task]) -> StreamResult:
        """Answer with a stream that is already committed; remove what is left of its learning."""
        # A bank that cannot be written keeps it.
        with suppress(BankError):
            self.net.bank.work.discard(tasks[0].content.task)
        self.net.bank.settle()
        done = tuple(describe(task, "exists", 0.0) for task in tasks)
        seconds = time.perf_counter() - self.began
        return StreamResult(done, (), self.plan.batches, self.request.rule, seconds, ())

    @threads_restored()
    def learn(self, work: WorkFolder) -> StreamResult:
        """Learn the stream, or the rest of it, and commit its masks."""
        net, plan, request = self.net, self.plan, self.request
        for visit in {visit.data: visit for visit in plan.visits}.values():
            check_classes(net, visit, request.reading, self.reporter)
        digest = digest_with_versions(
            {
                "stream": plan.digest,
                "device": net.device.type,
                "max_pixels": request.reading.max_pixels,
            }
        )
        weights = {name: net.network.get_parameter(name) for name in net.layout.shapes}
        shared = FrozenNetwork(net.network, weights, net.pixels)
        checkpoints = Checkpoints(work, digest, self.reporter)
        left = checkpoints.resume(lambda: StreamRun(work, digest, shared, plan.settings))
        run = StreamRun(work, digest, shared, plan.settings) if left is None else left
        data = StreamData(net.bank.record.input.shape, request, self.reporter)
        commits = StreamCommits(net, plan, request, data)
        with self.reporter.track("learning", plan.batches, "batches") as advance:
            advance(run.steps_done)
            self._take_batches(run, data, checkpoints, advance)
            saved = checkpoints.save(run, run.write_parts)
            if self.stop.asked:
                raise self._stopped(run, commits, saved=saved)
        try:
            for mask in run.learner.masks:
                check_finite(mask.scores)
        except ValueError as error:
            discard_state(work)
            raise UsageError(str(error)) from error
        try:
            with index_kept(net.bank):
                self._commit(run, commits, checkpoints)
        except KeyboardInterrupt:
            raise self._stopped(run, commits, saved=saved) from None
        net.bank.settle()
        data.read_rest(plan)
        discard_state(work)
        return self._result(run, commits, plan.batches)

    def _take_batches(
        self, run: StreamRun, data: StreamData, checkpoints: Checkpoints, advance: Advance
    ) -> None:
        """Learn until the stream ends or is told to stop; if interrupted, nothing is saved."""
        batches = stream_batches(self.net, self.plan, self.request, data.read, run.steps_done)
        with self.stop.steps():
            while not self.stop.asked and (batch := next(batches, None)) is not None:
                run.feed(*batch)
                advance(1)
                checkpoints.after_step(run, run.write_parts)

    def _commit(self, run: StreamRun, commits: StreamCommits, checkpoints: Checkpoints) -> None:
        homes = homes_of(run.decisions, self.plan.visits, self.request.visit)
        for number, mask in enumerate(run.learner.masks):
            facts, arrays, source = commits.measure(mask, number, homes[number], len(homes))
            with self.stop.steps():  # it takes a moment, and is reported only when done
                commits.commit(mask, facts, arrays, source, checkpoints.seconds())
            if self.stop.asked and number + 1 < len(homes):
                raise KeyboardInterrupt

    def _stopped(self, run: StreamRun, commits: StreamCommits, *, saved: bool) -> StoppedError:
        kept = "saved" if saved else "which could not be saved"
        place = f"batch {run.steps_done} of {self.plan.batches}"
        counted = f"{len(commits.done)} of {len(run.learner.masks)} masks are committed"
        return StoppedError(
            f"interrupted; stream {self.request.name!r} at {place}, {kept}; {counted}",
            hint="type the same command again: it goes on from there",
            beside=dataclasses.asdict(self._result(run, commits, run.steps_done)),
        )

    def _result(self, run: StreamRun, commits: StreamCommits, batches: int) -> StreamResult:
        told = tuple(
            StreamDecision(
                one.batch, None if one.mask is None else task_of(self.request, one.mask), one.new
            )
            for one in run.decisions
        )
        return StreamResult(
            tasks=tuple(commits.done),
            decisions=told,
            batches=batches,
            rule=self.request.rule,
            seconds=time.perf_counter() - self.began,
            failed=tuple(commits.data.failed),
        )


def _is_whole(tasks: list[Task]) -> bool:
    return bool(tasks) and len(tasks) == tasks[0].content.recipe.settings["masks"]
