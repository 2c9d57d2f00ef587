"""`tasks sign`: make signatures for tasks that have none, from the data they were learned from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from bank_format.errors import NameTakenError
from bank_format.index.writing import index_kept
from bank_format.kinds.mask import Task
from bank_format.store.signatures import (
    add_signature,
    read_signature,
    settle_signatures,
    signature_path,
)
from supsup_cli.data import catalog
from supsup_cli.data.reading import Reading
from supsup_cli.errors import NoInputError, SupsupError, UsageError
from supsup_cli.workflows.held_out import confirmed_data, find_moved
from supsup_cli.workflows.labelled import labelled
from supsup_cli.workflows.opening import OpenNetwork, open_network, stack_tasks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.tasks import SignedTask, SignResult
from supsup_cli.workflows.signatures import make_signature, open_features


def sign_tasks(
    path: Path,
    names: Sequence[str],
    data: Sequence[str],
    device: str,
    reading: Reading,
    reporter: Reporter,
) -> SignResult:
    """Make signatures for tasks, each in a file of its own; the tasks' files stay as they are.

    Args:
        path: the bank's folder.
        names: the tasks; none means all that have no signature.
        data: folders where data lie now, in any order: digests match them to tasks. A task without
            a match is read from the folder in its file.
        device: where the frozen network runs.
        reading: where data sets lie.
        reporter: gets the progress.

    Raises:
        UsageError: the bank's network has no features to sign by.
        NoInputError: no task could be signed, for want of its data.
        BankError: no bank, no such task, or the system refused.
    """
    net = open_network(path, device)
    if open_features(net, keep=True) is None:
        raise UsageError(f"{path}: no signatures are known for {net.bank.record.arch}")
    asked = list(dict.fromkeys(names)) or net.bank.tasks()
    for name in asked:
        net.bank.task_path(name)
    moved = find_moved(stack_tasks(net), data, reading) if data else {}
    done: list[SignedTask] = []
    failed: list[FailedInput] = []
    with (
        index_kept(net.bank) as index,
        reporter.track("signing", len(asked), "tasks") as advance,
    ):
        for name in asked:
            task = net.bank.read_task(name)
            try:
                done.append(_sign(net, task, moved, reading))
                index.added(done[-1].status == "signed")
            except SupsupError as error:
                failed.append(FailedInput(name, error.message))
            advance(1)
    if failed and not done:
        raise NoInputError(
            f"no task could be signed; {failed[0].source}: {failed[0].error}",
            hint="say where the data lies now: supsup tasks sign --data FOLDER",
        )
    settle_signatures(net.bank.folder)
    return SignResult(tuple(done), tuple(failed))


def _sign(net: OpenNetwork, task: Task, moved: Mapping[str, str], reading: Reading) -> SignedTask:
    """Sign one task.

    Raises:
        NoInputError: its data are missing or have changed.
        BankError: the system refused.
    """
    content, bank = task.content, net.bank
    if content.signature is not None:
        return SignedTask(content.task, "exists", content.signature.images, 0)
    there = read_signature(bank.path, bank.record, content.task)
    if there is not None and there.content.task_sha256 == task.content_sha256:
        images = there.content.signature.images
        return SignedTask(content.task, "exists", images, there.bytes_on_disk)
    source, known = confirmed_data(net, task, reading, moved)
    data = catalog.load(source, bank.record.input.shape, seed=content.seed, reading=known)
    outputs = torch.tensor(data.outputs, device=net.device)
    made = make_signature(
        net,
        labelled(net, data.train, outputs),
        labelled(net, data.calibration, outputs),
        content.seed,
        content.task,
    )
    if made is None:
        raise NoInputError(f"{source}: no training images found, expected at least one")
    signature, arrays = made
    status = "signed"
    try:
        add_signature(bank.folder, bank.record, task, signature, arrays)
    except NameTakenError:  # another command was faster
        status = "exists"
    size = signature_path(bank.folder, content.task).stat().st_size
    return SignedTask(content.task, status, signature.images, size)
