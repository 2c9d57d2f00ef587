"""`compare`: learn the same tasks in the same order with each method, and measure."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor, nn

from bank_format.encoding.canonical_json import Json
from supsup_cli.baselines.catalog import RIVALS
from supsup_cli.baselines.library_methods import INSTALL, LIBRARY, installed
from supsup_cli.baselines.metrics import DEFINITIONS
from supsup_cli.baselines.networks import Base
from supsup_cli.core.networks.adapter import base_tensors
from supsup_cli.core.networks.library import in_library
from supsup_cli.core.networks.specs import NetworkSpec, build_network, freeze, kind_of
from supsup_cli.errors import StoppedError, UsageError
from supsup_cli.workflows.bank.init_base import bank_spec, init_base
from supsup_cli.workflows.bank.library_base import library_arch, library_base
from supsup_cli.workflows.compare.kept import Keeping
from supsup_cli.workflows.compare.library import library_entries
from supsup_cli.workflows.compare.ours import our_entry
from supsup_cli.workflows.compare.rates import (
    FACTORS,
    ChosenRates,
    choose_rates,
    fixed_rates,
    trial_tasks,
)
from supsup_cli.workflows.compare.request import (
    CompareRequest,
    check_numbers,
    chosen_methods,
    method_names,
)
from supsup_cli.workflows.compare.rivals import rival_entries
from supsup_cli.workflows.compare.run import Run, run_method
from supsup_cli.workflows.compare.summary import summed_up, write_matrices
from supsup_cli.workflows.compare.systems import Entry, Setting
from supsup_cli.workflows.compare.tasks import NamedTask, Tasks, named_tasks
from supsup_cli.workflows.opening import open_network
from supsup_cli.workflows.reporting import Advance, NeverStop, Reporter, Silent, Stop
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.compare import ComparedMethod, CompareResult, NotInstalled
from supsup_cli.workflows.written import check_written

_NEVER = NeverStop()


@dataclass
class _Comparison:
    """A comparison in progress."""

    request: CompareRequest
    named: tuple[NamedTask, ...]
    entries: dict[str, Entry]
    methods: list[str]
    keeping: Keeping | None
    stop: Stop
    runs: dict[str, list[Run]] = field(default_factory=dict)
    rates: dict[str, ChosenRates] = field(default_factory=dict)
    images: tuple[int, ...] = ()
    failed: tuple[FailedInput, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of all methods and seeds together, including those that choose rates."""
        tried = trial_tasks(len(self.named)) if self.request.rates == "grid" else 0
        learned = len(self.named) * self.request.seeds
        return len(self.methods) * (learned + tried) * self.request.steps

    def run(self, folder: Path, reporter: Reporter, advance: Advance) -> None:
        """Learn with every method, seed after seed."""
        first = self.request.base.seed
        for seed in range(first, first + self.request.seeds):
            setting = _setting(self.request, self.named, seed, folder, self.stop)
            for name in self.methods:
                entry = self.entries[name]
                if name not in self.rates:
                    self.rates[name] = self._rates(entry, setting, advance)
                    reporter.note(f"{name}: {_told(self.rates[name])}")
                rates = self.rates[name].rates
                run = run_method(entry, rates, setting, self.keeping, advance)
                self.runs.setdefault(name, []).append(run)
            if not self.images:
                setting.tasks.read_all()
                self.images = setting.tasks.test_sizes
                self.failed = tuple(FailedInput(*one) for one in setting.tasks.broken)

    def _rates(self, entry: Entry, setting: Setting, advance: Advance) -> ChosenRates:
        """Choose the rates of a method, or read those chosen earlier."""
        if self.request.rates == "fixed":
            return fixed_rates(entry)
        found = None if self.keeping is None else self.keeping.rates(entry.name)
        if found is not None:
            advance(trial_tasks(len(self.named)) * self.request.steps)
            return found
        chosen = choose_rates(entry, setting, advance)
        if self.keeping is not None:
            self.keeping.keep_rates(entry.name, chosen)
        return chosen

    def stopped(self) -> StoppedError:
        """Make the error that reports how far the comparison came."""
        done = sum(map(len, self.runs.values()))
        wanted = len(self.methods) * self.request.seeds
        hint = "type the same command again with --keep FOLDER: the next time it can go on"
        if self.keeping is not None:
            hint = "type the same command again: it goes on from there"
        return StoppedError(f"interrupted; {done} of {wanted} runs are done", hint=hint, beside={})


def compare(request: CompareRequest, reporter: Reporter, stop: Stop = _NEVER) -> CompareResult:
    """Compare methods; writes only what was asked for, and touches no bank.

    Raises:
        UsageError, NoInputError: what was asked for cannot be compared.
        NameTakenError: the folder to keep results in holds another comparison.
        StoppedError: it was stopped; what was kept is whole.
        StorageError, BankError: something cannot be written or read.
    """
    began = time.perf_counter()
    check_numbers(request)
    check_written(request.csv, request.plot)
    request = _resolved(request)
    named = named_tasks(request)
    outputs = max(max(task.outputs) for task in named) + 1
    if request.base.own_outputs < outputs:
        raise UsageError(
            f"--outputs {request.base.own_outputs}: expected at least {outputs}, because the tasks "
            f"use outputs up to {outputs - 1}"
        )
    request = replace(request, base=replace(request.base, real_outputs=outputs))
    entries = _entries(request)
    lacking = {name: "" if name not in LIBRARY or installed() else INSTALL for name in entries}
    methods = chosen_methods(request.methods, lacking)
    keeping = None if request.keep is None else Keeping(request.keep, _plan(request, named))
    comparison = _Comparison(request, named, entries, methods, keeping, stop)
    try:
        with (
            reporter.track("comparing", comparison.steps, "steps") as advance,
            _folder(keeping) as folder,
        ):
            comparison.run(folder, reporter, advance)
    except (KeyboardInterrupt, StoppedError) as interrupt:
        raise comparison.stopped() from interrupt
    chances = [1 / len(task.classes) for task in named]
    compared: list[ComparedMethod] = []
    for name in methods:
        chosen, runs = comparison.rates[name], comparison.runs[name]
        compared += summed_up(entries[name], chosen, runs, chances, request.base.seed)
    result = CompareResult(
        methods=tuple(compared),
        tasks=tuple(task.name for task in named),
        images=comparison.images,
        arch=request.base.arch,
        steps=request.steps,
        batch_size=request.batch_size,
        grid=FACTORS if request.rates == "grid" else (),
        definitions=DEFINITIONS,
        not_installed=tuple(NotInstalled(name, hint) for name, hint in lacking.items() if hint),
        seconds=time.perf_counter() - began,
        keep=None if request.keep is None else str(request.keep),
        csv=None if request.csv is None else str(request.csv),
        plot=None if request.plot is None else str(request.plot),
        failed=comparison.failed,
    )
    if request.csv is not None:
        write_matrices(result, request.csv)
    if request.plot is not None:
        from supsup_cli.workflows.plots import plot_comparison

        plot_comparison(result, request.plot)
    return result


def _entries(request: CompareRequest) -> dict[str, Entry]:
    """List every method, ours first.

    Raises:
        UsageError: no such network or recipe, or a method asked for by name cannot use it.
    """
    base = request.base
    if in_library(base.arch):
        network = build_network(NetworkSpec(base.arch, base.own_shape, base.real_outputs))
    else:
        spec = bank_spec(base)
        network = build_network(NetworkSpec(spec.arch, spec.input.shape, spec.outputs))
    ours, rivals = our_entry(request, kind_of(network)), rival_entries(network)
    for name in method_names(request.methods):
        if name in RIVALS and name not in rivals:
            raise UsageError(
                f"--methods {name}: {base.arch} has layers of attention, expected a perceptron or "
                "a convolution net, each layer of which takes its inputs in a task's context"
            )
    return {ours.name: ours} | rivals | library_entries()


def _resolved(request: CompareRequest) -> CompareRequest:
    """Find a library's network by its plain name, and the size of its inputs.

    Raises:
        UsageError, NoInputError: see `init_base`.
    """
    arch = library_arch(request.base)
    if arch is None:
        return request
    spec = library_base(arch, request.base, Silent()).spec
    base = replace(request.base, arch=spec.arch, input_shape=spec.input.shape)
    return replace(request, base=base)


def _setting(
    request: CompareRequest, named: tuple[NamedTask, ...], seed: int, folder: Path, stop: Stop
) -> Setting:
    """Make what all methods of a seed get; the network is that of a bank."""
    with tempfile.TemporaryDirectory(prefix="supsup-base-") as place:
        init_base(Path(place, "bank"), replace(request.base, seed=seed))
        net = open_network(Path(place, "bank"), request.device)
        record, network = net.bank.record, net.network
        spec = NetworkSpec(record.arch, record.input.shape, record.outputs)
        if net.trained:  # with normalisation folded in; rivals learn it too
            network = build_network(spec)
            freeze(network, net.bank.base(), net.device)
    base = Base(
        spec,
        record.real_outputs,
        dict(network.named_parameters()),
        trained=record.init == "weights",
        seed=seed,
        statistics=_statistics(network) if net.trained else {},
    )
    tasks = Tasks(named, request, seed, net.device)
    return Setting(request, tasks, base, net.pixels, folder / f"seed-{seed}", stop)


def _statistics(network: nn.Module) -> dict[str, Tensor]:
    """Return the numbers of a network's base that no method learns."""
    learned = dict(network.named_parameters())
    return {name: one for name, one in base_tensors(network).items() if name not in learned}


@contextmanager
def _folder(keeping: Keeping | None) -> Iterator[Path]:
    """Provide the folder that methods work in: the one to keep, or a temporary one."""
    if keeping is not None:
        yield keeping.folder
        return
    with tempfile.TemporaryDirectory(prefix="supsup-compare-") as folder:
        yield Path(folder)


def _plan(request: CompareRequest, named: tuple[NamedTask, ...]) -> dict[str, Json]:
    """List everything that decides the results, except the methods and the number of seeds."""
    base = request.base
    return {
        "arch": base.arch,
        "batch_size": request.batch_size,
        "init": base.init,
        "input": list(base.own_shape),
        "limit": request.limit,
        "new_head": base.new_head,
        "outputs": base.outputs,
        "rates": request.rates,
        "recipe": request.recipe,
        "seed": base.seed,
        "steps": request.steps,
        "tasks": [[task.name, task.digest] for task in named],
        "weights": None if base.weights is None else str(base.weights),
    }


def _told(chosen: ChosenRates) -> str:
    if not chosen.trials:
        return f"learning rates {chosen.first:g} and {chosen.later:g}, as in its paper"
    edge = ", at the edge of the grid" if chosen.at_edge else ""
    return f"learning rates {chosen.first:g} and {chosen.later:g} chosen{edge}"
