"""Every example runs, at a small size. The longest are slow tests: their commands have others."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from supsup_cli.baselines.library_methods import INSTALL, installed
from tests.support.commands import make_class_folder
from tests.support.trained import save_library_network

EXAMPLES = Path(__file__).parent.parent / "examples"


Small = Callable[..., str]


def run(script: str, *arguments: str, **sizes: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the `supsup` of this environment on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(EXAMPLES / script), *arguments],
        env={**os.environ, "PATH": path, **sizes},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Run a script at sizes that take seconds; returns what it printed."""

    def run_small(script: str, **sizes: object) -> str:
        done = run(script, str(tmp_path), **{name: str(size) for name, size in sizes.items()})
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_small


def test_ci_smoke_passes() -> None:
    done = run("ci_smoke.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "supsup works here\n", "")


def test_quickstart_names_the_task_of_every_image_and_classifies_nearly_all(
    tmp_path: Path,
) -> None:
    done = run("quickstart.sh", str(tmp_path / "quick"))
    assert done.returncode == 0, done.stderr
    inferred = done.stdout.split("$ supsup predict")[0].split("$ supsup infer-task")[1]
    assert inferred.count("images/") == 12 + 1  # the twelve images, and the command's own line
    for task in ("mnist-perm-7", "mnist-perm-8", "mnist-rot-90"):
        assert inferred.count(f"  {task}  [{task} ") == 4
    assert "3 whole tasks; the bank is whole" in done.stdout


@pytest.mark.slow
def test_density_sweep_learns_every_density() -> None:
    done = run("density_sweep.sh", "3", DENSITIES="er:1 er:16")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("$ supsup learn-task") == 3
    assert done.stdout.count("learned") == 6
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("mnist-perm-0")]
    shares = [float(row[7]) for row in rows]
    assert shares == sorted(shares)
    assert shares[0] < 0.01
    assert shares[-1] > 0.4


@pytest.mark.slow
def test_transfer_learns_and_combines() -> None:
    done = run("transfer.sh", "150")
    assert done.returncode == 0, done.stderr
    accuracies = {
        line.split()[0]: float(line.split()[2])
        for line in done.stdout.splitlines()
        if line.startswith(("fresh", "transferred")) and "learned" in line
    }
    assert accuracies["transferred"] > accuracies["fresh"]
    assert "6 whole tasks; the bank is whole" in done.stdout


@pytest.mark.slow
def test_permuted_tasks_are_told_apart_by_both_recipes(small: Small) -> None:
    done = small("permuted.sh", TASKS=2, STEPS=60, LIMIT=20)
    means = [line.split() for line in done.splitlines() if line.startswith("mean")]
    assert [line[1] for line in means] == ["40"] * 3
    assert float(means[0][8]) > 90


@pytest.mark.slow
def test_rotated_groups_decide_together(small: Small) -> None:
    done = small("rotated.sh", RANGE="0..180:90", ARCH="mlp-32", STEPS=60, LIMIT=128)
    assert done.count("group 128,") == 2
    assert done.count("group image,") == 1
    assert done.count("\nmean ") == 3


@pytest.mark.slow
def test_split_is_told_apart_with_negatives(small: Small) -> None:
    done = small("split.sh", STEPS=60, LIMIT=20)
    means = [line.split() for line in done.splitlines() if line.startswith("mean")]
    assert len(means) == 6
    assert float(means[0][4]) > 40  # ten digits; chance is 10


def test_a_stream_opens_a_mask_for_each_task(small: Small) -> None:
    done = small("stream.sh", VISIT=60)
    listed = done.split("$ supsup tasks")[1].split("$ supsup evaluate")[0]
    assert [f"seen-{number}" for number in range(5) if f"seen-{number} " in listed] == [
        "seen-0", "seen-1", "seen-2", "seen-3"
    ]  # fmt: skip


@pytest.mark.slow
def test_masks_are_recovered_from_attractors(small: Small, tmp_path: Path) -> None:
    plot = tmp_path / "recovery.png"
    done = small("hopfield.sh", ARCH="units-256-256", STEPS=200, LIMIT=128, PLOT=plot)
    encoded = done.split("$ supsup encode-hopfield")[1:]
    assert "encoded: 5 masks of 512 units by the rule storkey" in encoded[0]
    assert "extended: 6 masks of 512 units" in encoded[1]
    assert "hopfield.safetensors lacks 1 task ('mnist-perm-0')" in done
    mean = next(line.split() for line in done.splitlines() if line.startswith("mean"))
    assert float(mean[4]) > 50  # all ten digits; chance is 10
    assert plot.stat().st_size > 0


def test_own_folders_are_tasks(small: Small) -> None:
    done = small("own_folder.sh", STEPS=60)
    assert "zero-or-one" in done.split("$ supsup tasks")[1]
    assert done.split("$ supsup predict")[1].count("  scrambled  ") > 10


@pytest.mark.slow
def test_photos_are_learned_and_a_task_is_exported(small: Small) -> None:
    done = small("photos.sh", STEPS=30, TRAIN=40, TEST=10)
    learned = done.split("$ supsup evaluate")[0]
    assert learned.count(" learned ") == 4
    evaluated = done.split("$ supsup evaluate")[1].split("$ supsup predict")[0]
    (mean,) = [line.split() for line in evaluated.splitlines() if line.startswith("mean")]
    assert mean[1] == "160"
    assert float(mean[2]) > 40  # of four classes; chance is 25
    assert "exported" in done.split("$ supsup tasks export")[1]


@pytest.mark.slow
def test_a_pile_of_photos_is_shown_and_sorted(tmp_path: Path) -> None:
    sizes = {"STEPS": "20", "TRAIN": "40", "TEST": "6"}
    done = run("photos_trained.sh", str(tmp_path), **sizes)
    assert done.returncode == 0, done.stderr
    assert "written: sheet.png" in done.stdout
    assert "sorted: 96 copied" in done.stdout
    pile = {path.read_bytes() for path in (tmp_path / "pile").iterdir()}
    placed = [path for path in (tmp_path / "sorted").rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in placed} == pile
    tasks = {path.relative_to(tmp_path / "sorted").parts[0] for path in placed}
    assert tasks <= {"things", "living", "science", "_new"}
    right = [path for path in placed if path.parent.name == path.name.rpartition("-")[0]]
    assert len(right) > len(placed) / 4


def test_your_own_photos_are_sorted_over_weights_trained_elsewhere(tmp_path: Path) -> None:
    save_library_network("mobilenet_v3_small", tmp_path / "weights.safetensors")
    for task in ("pets", "garden"):
        make_class_folder(tmp_path / "own" / task, {"low": 2, "high": 16}, each=8)
    own = {
        "WEIGHTS": str(tmp_path / "weights.safetensors"),
        "ARCH": "mobilenet_v3_small",
        "SIZE": "64",
        "PHOTOS": str(tmp_path / "own"),
        "PILE": str(tmp_path / "own" / "pets" / "low"),
    }
    done = run("photos_trained.sh", str(tmp_path / "work"), STEPS="2", **own)
    assert done.returncode == 0, done.stderr
    assert "sorted: 8 copied" in done.stdout
    assert (tmp_path / "work" / "sheet.png").is_file()


@pytest.mark.slow
def test_mixed_tasks_live_in_one_bank(small: Small) -> None:
    done = small("mixed.sh", STEPS=150, LIMIT=20)
    learned = done.split("$ supsup evaluate")[0]
    assert learned.count(" learned ") == 7
    assert "$ cmp before.txt after.txt" in done
    assert "new, nearest" in done.split("$ supsup infer-task")[1]


def test_a_hundred_tasks_answer_image_by_image(small: Small) -> None:
    done = small("hundred_tasks.sh", TASKS=3, STEPS=100)
    told = re.search(r"(\d+) images: (\d+) of the right task", done)
    assert told
    assert told.groups() == ("60", "60")


def test_methods_are_compared_on_the_same_tasks(small: Small, tmp_path: Path) -> None:
    told = small("compare.sh", DATA="mnist-split-0..1", STEPS=20, METHODS="supsup,lower-bound")
    told_of = {line.split()[0] for line in told.splitlines() if line.strip()}
    assert told_of >= {"supsup", "lower-bound"}
    assert (tmp_path / "compare.csv").read_text(encoding="utf-8").startswith("method,")


@pytest.mark.skipif(not installed(), reason=f"needs {INSTALL}")
def test_a_bank_inside_avalanche_forgets_less_than_fine_tuning() -> None:
    words = [sys.executable, str(EXAMPLES / "avalanche_digits.py"), "40"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=EXAMPLES.parent)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if ": accuracy " in line]
    accuracy = {name: float(share.rstrip(",")) for name, _, share, *_ in lines}
    assert accuracy["SupSup:"] > accuracy["Naive:"] + 0.3


def test_a_coprocess_answers_one_image_at_a_time(small: Small) -> None:
    told = small("coprocess.sh", TASKS=2, STEPS=60, IMAGES=6)
    answers = [line.split() for line in told.splitlines() if line.startswith("images/")]
    assert len(answers) == 6
    assert [task for _, task, _ in answers].count("mnist-perm-1") >= 5
    assert all(label.isdigit() for _, _, label in answers)


def test_no_example_is_left_untested_or_undescribed() -> None:
    examples = {path.name for path in EXAMPLES.iterdir()}
    examples -= {"install.sh", "workplace.sh", "README.md"}
    examples -= {"picture.py", "picture.svg"}  # README's picture: see test_readme
    described = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    scripts = {name for name in examples if name.endswith(".sh")}
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in scripts if f'"{name}"' not in tests] == []
    # `read_bank.js` is tested by test_javascript_reader.
    assert examples - scripts == {"read_bank.js", "avalanche_digits.py"}
    assert all(f"]({name})" in described for name in examples)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_plain_sh(path: Path) -> None:
    done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_workers_share_the_tasks_of_one_bank(small: Small) -> None:
    told = small(
        "workers.sh", WORKERS=2, ARCH="mlp-16", STEPS=20, DATA="mnist-perm-0..3", OMP_NUM_THREADS=1
    )
    assert "4 whole tasks; the bank is whole" in told


@pytest.mark.slow
def test_the_job_of_a_cluster_runs_as_one_task_of_one_node(tmp_path: Path) -> None:
    """If there is no scheduler, its commands are replaced by ones that run what follows."""
    stands = {
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "scontrol": "echo localhost",
    }
    for name, script in stands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    bank = tmp_path / "bank"
    done = run(
        "slurm.sh",
        PATH=f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        BANK=str(bank),
        DATA="mnist-split-0..1",
        SLURM_JOB_NUM_NODES="1",
        SLURM_NTASKS_PER_NODE="2",
        SLURM_JOB_ID="7",
        SLURM_JOB_NODELIST="localhost",
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    assert [one["task"] for one in document["tasks"]] == ["mnist-split-0", "mnist-split-1"]
    assert document["exit_code"] == 0
