"""Whatever happened to a bank and its index, the answers come from the files alone."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bank_format.bank import Bank
from bank_format.encoding.sealed import unseal
from bank_format.errors import BankError
from bank_format.index.writing import update_index
from bank_format.store.signatures import signature_path
from supsup_cli.data import catalog
from supsup_cli.errors import NoInputError
from supsup_cli.workflows.inference.infer_task import infer_task
from supsup_cli.workflows.inference.inputs import InputRequest
from supsup_cli.workflows.inference.rules import DecisionRequest
from supsup_cli.workflows.reporting import Silent
from supsup_cli.workflows.results.inference import InferResult
from supsup_cli.workflows.tasks.list import list_tasks
from tests.support.banks import index_files
from tests.support.commands import answer, flip_bit, learn, make_bank

NAMES = tuple(f"mnist-perm-{number}" for number in range(6))
SIGNED = NAMES[2::2]  # later
AUTO = DecisionRequest("auto", None, "image", "cpu")

step = st.one_of(
    st.tuples(
        st.sampled_from(["add", "add and index", "remove", "damage", "header", "signature"]),
        st.sampled_from(NAMES),
    ),
    st.tuples(st.sampled_from(["copy", "old", "lose"]), st.just("")),
    st.tuples(st.just("flip"), st.integers(0, 10**6).map(str)),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    path = make_bank(tmp_path_factory.mktemp("source") / "bank")
    learn(path, *(name for name in NAMES if name not in SIGNED))
    learn(path, *SIGNED, more=("--no-signature",))
    answer("tasks", "sign", *SIGNED, "--bank", path)
    return Bank.open(path)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.concatenate(
        [catalog.load_test(name, (1, 28, 28)).test.images[:3] for name in NAMES[:4]]
    )


class History:
    """A bank to which things happen."""

    def __init__(self, folder: Path, source: Bank) -> None:
        self.folder, self.source = folder, source
        shutil.copytree(source.folder, folder / "0", ignore=shutil.ignore_patterns("index*"))
        self.bank = Bank.open(folder / "0")
        for name in NAMES[3:]:
            self.bank.remove_task(name)
        update_index(self.bank)
        self.old = {path.name: path.read_bytes() for path in index_files(self.bank.folder)}
        self.damaged: set[str] = set()
        self.unlisted: set[str] = set()
        self.vague: set[str] = set()

    def do(self, what: str, which: str) -> None:
        bank, there = self.bank, which in self.bank.tasks()
        if what.startswith("add") and not there:
            bank.copy_task(which, self.source)
        if what == "add and index":
            update_index(bank)
        if what == "remove" and there:
            bank.remove_task(which)
            for damaged in (self.damaged, self.unlisted, self.vague):
                damaged.discard(which)
        if what in ("damage", "header", "signature") and there and which not in self.damaged:
            self._damage(what, which)
        if what == "copy":
            copy = self.folder / str(int(bank.path.name) + 1) if isinstance(bank.path, Path) else ""
            self.bank = Bank.open(Path(shutil.copytree(bank.folder, copy)))
        if what == "old":
            for name, data in self.old.items():
                (bank.folder / name).write_bytes(data)
        if what == "lose" and index_files(bank.folder):
            index_files(bank.folder)[0].unlink()
        if what == "flip":
            for path in index_files(bank.folder)[: 1 + int(which) % 2]:
                flip_bit(path, int(which) % path.stat().st_size)

    def _damage(self, what: str, which: str) -> None:
        path = self.bank.folder / "masks" / f"{which}.safetensors"
        if what == "signature":
            if which not in SIGNED:
                return
            _flip_in(signature_path(self.bank.folder, which), "signature/means", 3)
        elif what == "damage":
            _flip_in(path, "mask/layers.0.weight", 700)
        else:
            flip_bit(path, 0)
            self.vague.add(which)
        self.damaged.add(which)
        if what != "signature":
            self.unlisted.add(which)


def _flip_in(path: Path, tensor: str, byte: int) -> None:
    data = path.read_bytes()
    flip_bit(path, data.index(unseal(data, path.name)[0][tensor].tobytes()) + byte)


@contextmanager
def without_index(bank: Bank) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns("index*")
        yield Path(shutil.copytree(bank.folder, Path(folder) / "bank", ignore=ignored))


def inferred(path: Path, images: np.ndarray) -> InferResult | str:
    inputs = InputRequest((), io.StringIO(), (), None, 0, given=images)
    try:
        return infer_task(path, inputs, AUTO, len(NAMES), Silent())
    except (BankError, NoInputError) as error:
        return type(error).__name__


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(step, max_size=8))
def test_with_and_without_the_index_answers_are_equal(
    steps: list[tuple[str, str]], source: Bank, images: np.ndarray
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), source)
        for what, which in steps:
            history.do(what, which)
        path, damaged, unlisted = history.bank.folder, history.damaged, history.unlisted
        with without_index(history.bank) as plain:
            if set(history.bank.tasks()) - unlisted:
                listed = [one for one in list_tasks(path).tasks if one.task not in unlisted]
                assert listed == list(list_tasks(plain).tasks)
            ours, theirs = inferred(path, images), inferred(plain, images)
        if isinstance(ours, str) or isinstance(theirs, str):
            assert ours == theirs
            return
        left, also = ({one.task for one in both.left_out} for both in (ours, theirs))
        # Of a file whose header is damaged only the index knows that its task is no candidate.
        assert left | history.vague & set(history.bank.tasks()) == also
        assert also <= damaged
        assert (ours.exit_code, theirs.exit_code) == (5 if left else 0, 5 if also else 0)
        if not damaged:
            assert ours.results == theirs.results
        for one, other in zip(ours.results, theirs.results, strict=True):
            # Shared values are averaged over the tasks that can be read; the index does not know
            # which ones cannot be read until they are in doubt.
            assert (one.task, one.known) == (other.task, other.known)
            assert dict(one.scores) == pytest.approx(dict(other.scores), abs=0.3)
