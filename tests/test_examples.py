import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the `supsup` of this environment on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(EXAMPLES / script), *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


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


def test_density_sweep_learns_every_density() -> None:
    done = run("density_sweep.sh", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("$ supsup learn-task") == 7
    assert done.stdout.count("learned") == 14
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("mnist-perm-0")]
    shares = [float(row[7]) for row in rows]
    assert shares[:6] == sorted(shares[:6])
    assert shares[0] < 0.01
    assert shares[-1] > 0.4


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


def test_no_script_is_left_untested() -> None:
    scripts = {path.name for path in EXAMPLES.glob("*.sh")} - {"install.sh"}
    assert scripts == {"ci_smoke.sh", "density_sweep.sh", "quickstart.sh", "transfer.sh"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_plain_sh(path: Path) -> None:
    done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
