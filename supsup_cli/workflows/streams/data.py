"""The data of a stream, read at each visit, because all of a long stream would not fit memory."""

from dataclasses import dataclass, field

from supsup_cli.data import catalog
from supsup_cli.data.splits import InputShape, TaskData
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.streams.plan import StreamPlan, StreamRequest


@dataclass(frozen=True)
class StreamData:
    """Reads data, and tells once what there is to tell of each.

    Attributes:
        shape: (C, H, W) of the network's input.
        request: of the stream.
        reporter: gets the notes.
        failed: images that could not be read.
    """

    shape: InputShape
    request: StreamRequest
    reporter: Reporter
    failed: list[FailedInput] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def read(self, name: str) -> TaskData:
        """Read all splits of one of the stream's data.

        Raises:
            NoInputError, UsageError, StorageError: see `catalog.load`.
        """
        request = self.request
        data = catalog.load(name, self.shape, seed=request.seed, reading=request.reading)
        if name not in self._told:
            self._told.add(name)
            self.failed.extend(FailedInput(source, reason) for source, reason in data.broken)
            for note in data.notes:
                self.reporter.note(f"{name}: {note}")
        return data

    def read_rest(self, plan: StreamPlan) -> None:
        """Read what this process did not need, because an earlier one had learned from it.

        Raises:
            NoInputError, UsageError, StorageError: see `catalog.load`.
        """
        for name in dict.fromkeys(visit.data for visit in plan.visits):
            if name not in self._told:
                self.read(name)
