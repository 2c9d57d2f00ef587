"""Threads sleep while they wait: the console command sets this, the Python API never does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, run_apart

_API = """
import os
before = dict(os.environ)
import supsup_cli.api
assert dict(os.environ) == before, set(os.environ) ^ set(before)
"""
_CONSOLE = """
import os, sys
sys.argv = ["supsup", "--version"]
from supsup_cli.__main__ import main
assert main() == 0
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


def _python(script: str, environment: dict[str, str]) -> str:
    others = {name: one for name, one in os.environ.items() if name != "OMP_WAIT_POLICY"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=others | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_importing_the_python_door_changes_nothing_in_its_host() -> None:
    assert _python(_API, {}) == ""


@pytest.mark.parametrize(
    ("environment", "policy"),
    [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active"), ({"OMP_WAIT_POLICY": ""}, "")],
)
def test_the_console_command_lets_threads_sleep_unless_the_user_says(
    environment: dict[str, str], policy: str
) -> None:
    assert _python(_CONSOLE, environment).splitlines()[-1] == policy


@pytest.mark.parametrize(
    ("policy", "status", "told"), [("passive", "ok", "sleep"), ("active", "warning", "spin")]
)
def test_doctor_tells_whether_waiting_threads_sleep(
    policy: str, status: str, told: str, tmp_path: Path
) -> None:
    environment = {"OMP_WAIT_POLICY": policy, "OMP_NUM_THREADS": "2"}
    ran = run_apart("doctor", "--bank", tmp_path / "none", "--json", environment=environment)
    (check,) = [one for one in ran.json["checks"] if one["check"] == "threads"]
    assert (ran.code, check["status"]) == (0, status)
    assert f"they {told} while they wait" in check["found"]
    assert ("OMP_WAIT_POLICY=passive" in check["hint"]) == (policy == "active")
