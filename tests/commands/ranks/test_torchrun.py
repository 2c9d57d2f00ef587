"""Commands under torchrun: one document, one printer, one reason if something fails."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supsup_cli.torchrun.place import Place, place
from tests.support.commands import ROOT, Ran, answer, make_bank, run, run_apart
from tests.support.ranks import rank_processes, run_ranks, start_ranks

LEARN = ("--data", "mnist-perm-0..5", "--steps", 40)
# In a task's file, the text about when and where it was made may differ in length.
VARIES = ("seconds", "bytes", "exit_code")


def same(one: Any) -> Any:
    """Leave out what differs from run to run."""
    if isinstance(one, dict):
        return {key: same(value) for key, value in one.items() if key not in VARIES}
    return [same(value) for value in one] if isinstance(one, list) else one


def test_the_place_is_read_from_what_torchrun_sets() -> None:
    told = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert place(told) is None
    assert place(told | {"TORCHELASTIC_RUN_ID": "none"}) == Place(3, 4, 1)
    assert place({"TORCHELASTIC_RUN_ID": "none", "RANK": "x"}) is None


def test_nothing_of_the_ranks_is_imported_without_torchrun(bank: Path) -> None:
    script = (
        "import sys; from supsup_cli.cli import main\n"
        "main(sys.argv[1:])\n"
        "print([one for one in sys.modules if one == 'supsup_cli.torchrun.group'])"
    )
    words = ["predict", "--data", "mnist-perm-0", "--limit", "1", "--bank", str(bank), "--json"]
    ran = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"
    naming = [
        path.name
        for path in (ROOT / "supsup_cli").rglob("*.py")
        if re.search(r"^\s*(import|from) torch\.distributed", path.read_text(), re.MULTILINE)
    ]
    assert naming == ["group.py"]


def test_ranks_learn_the_tasks_of_one_process(tmp_path: Path) -> None:
    alone, shared = make_bank(tmp_path / "alone"), make_bank(tmp_path / "shared")
    expected = answer("learn-task", "--bank", alone, *LEARN)
    ran = run_ranks(2, "learn-task", "--bank", shared, *LEARN, "--json", "--quiet")
    assert (ran.code, ran.json["exit_code"]) == (0, 0)
    assert same(ran.json) == same(expected)
    assert same(answer("evaluate", "--bank", alone)) == same(answer("evaluate", "--bank", shared))


@pytest.mark.slow
def test_ranks_answer_as_one_process(bank: Path, images: Path) -> None:
    (images / "broken.png").write_text("no image")
    for words in (
        ("evaluate", "--limit", 100),
        ("infer-task", images),
        ("predict", "--data", "mnist-perm-0", "--fail-on-new"),
        ("stats",),
        ("verify",),
    ):
        alone = run(*words, "--bank", bank, "--json", "--quiet")
        shared = run_ranks(2, *words, "--bank", bank, "--json", "--quiet")
        assert (shared.code, shared.json["exit_code"]) == (0, alone.code), words
        assert same(shared.json) == same(alone.json), words


@pytest.mark.slow
def test_rank_0_alone_reads_the_list_on_stdin(bank: Path, images: Path) -> None:
    lines = "".join(f"{path}\n" for path in sorted(images.rglob("*.png")))
    shared = run_ranks(2, "predict", "-", "--bank", bank, "--json", "--quiet", stdin=lines)
    assert [one["source"] for one in shared.json["results"]] == lines.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "--bank", "no/such/bank"),
        ("evaluate", "--banana"),
        ("predict", "--bank", "BANK"),
        ("predict", "--bank", "BANK", "--data", "mnist-perm-0", "--task", "nobody"),
    ],
)
def test_what_fails_is_told_once(bank: Path, words: tuple[str, ...]) -> None:
    asked = [str(bank) if word == "BANK" else word for word in words]
    alone, shared = run(*asked, "--json"), run_ranks(2, *asked, "--json")
    assert shared.code == 1  # the exit code of torchrun, whatever a rank's is
    assert shared.json.pop("exit_code", None) is not None
    assert shared.json["error"] == alone.json["error"]


@pytest.mark.slow
def test_ctrl_c_ends_all_ranks_and_keeps_the_work(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    words = ("learn-task", "--bank", bank, "--data", "mnist-perm-0..9", "--steps", 500, "--json")
    process = start_ranks(2, *words, "--quiet")
    while not list(bank.glob("masks/*.safetensors")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    stopped = Ran(process.returncode, out, err)
    assert stopped.json["error"]["code"] == "interrupted"
    assert stopped.json["exit_code"] == 130
    done = [one["task"] for one in stopped.json["tasks"]]
    assert done == sorted(path.stem for path in bank.glob("masks/*.safetensors"))
    again = run_apart(*words, "--quiet")
    assert (again.code, len(again.json["tasks"])) == (0, 10)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_is_named(tmp_path: Path, rank: int) -> None:
    bank = make_bank(tmp_path / "bank")
    words = ("learn-task", "--bank", bank, "--data", "mnist-perm-0..9", "--steps", 2000, "--json")
    process = start_ranks(2, *words, "--quiet")
    while not list(bank.glob("work/*/claim")):
        assert process.poll() is None
    victim = rank_processes(process)[rank]
    os.kill(victim, signal.SIGKILL)
    out, err = process.communicate(timeout=10)
    died = Ran(process.returncode, out, err)
    assert (died.code, died.json["error"]["code"]) == (1, "rank-died")
    assert f"rank {rank} (process {victim} on " in died.json["error"]["message"]


DIES_CONNECTING = """
import os, signal, sys
from pathlib import Path
import torch.distributed
from supsup_cli.cli import main

def die(*_args, **_options):
    Path(os.environ["DIED"]).touch()
    os.kill(os.getpid(), signal.SIGKILL)

if os.environ["RANK"] == os.environ["DIES"]:
    torch.distributed.init_process_group = die
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_while_others_connect_to_it_is_named(tmp_path: Path, rank: int) -> None:
    script, died = tmp_path / "dies.py", tmp_path / "died"
    script.write_text(DIES_CONNECTING)
    words = ("predict", "--bank", make_bank(tmp_path / "bank"), "--data", "mnist", "--json")
    environment = {**os.environ, "DIES": str(rank), "DIED": str(died), "PYTHONPATH": str(ROOT)}
    process = start_ranks(2, *words, program=[str(script)], env=environment)
    while not died.exists():
        assert process.poll() is None
    out, err = process.communicate(timeout=20)  # torchrun itself waits for 30 seconds
    ran = Ran(process.returncode, out, err)
    assert (ran.code, ran.json["error"]["code"]) == (1, "rank-died")
    assert f"rank {rank} (process " in ran.json["error"]["message"]
