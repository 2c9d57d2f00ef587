"""Commands that compute nothing start fast: they do not import torch or anything heavy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT

HEAVY = ["torch", "torchvision", "numba", "matplotlib", "scipy", "PIL"]
SCRIPT = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
with redirect_stdout(StringIO()) as out:
    from supsup_cli.cli import main
    code = main(sys.argv[1:])
print(json.dumps([code, len(out.getvalue()), sorted(sys.modules)]))
"""


def _modules(*code: str) -> set[str]:
    command = [sys.executable, "-c", *code]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    exit_code, printed, modules = json.loads(ran.stdout)
    assert exit_code == 0
    assert printed > 0
    return set(modules)


@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "learn-task --help", "evaluate --help", "data export --help"],
)
def test_help_and_version_import_nothing_heavy(command: str) -> None:
    modules = _modules(SCRIPT, *command.split())
    assert "supsup_cli.cli" in modules
    assert modules.isdisjoint([*HEAVY, "numpy", "safetensors"])


@pytest.mark.parametrize(
    "command", ["stats", "stats --overlaps", "tasks", "tasks show mnist-perm-0", "verify"]
)
@pytest.mark.parametrize("form", ["--json", "--quiet"])
def test_what_reads_a_bank_alone_imports_nothing_heavy(command: str, form: str, bank: Path) -> None:
    modules = _modules(SCRIPT, *command.split(), form, "--bank", str(bank))
    assert "bank_format.kinds.mask" in modules
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", ["data list", "data export mnist-perm-1 FOLDER --limit 2"])
def test_data_needs_pillow_and_nothing_else(command: str, tmp_path: Path) -> None:
    modules = _modules(SCRIPT, *command.replace("FOLDER", str(tmp_path)).split())
    assert modules.isdisjoint(set(HEAVY) - {"PIL"})


def test_asking_loads_no_compiler(bank: Path) -> None:
    """One of torch's own modules takes two seconds to import."""
    script = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
from supsup_cli.cli import main
codes = []
with redirect_stdout(StringIO()) as out:
    for asked in ("auto", "one-shot", "binary", "one-shot --group all", "descent --limit 1"):
        words = ["infer-task", "--data", "mnist-perm-0", "--limit", "3", "--bank", sys.argv[1]]
        codes.append(main([*words, "--method", *asked.split()]))
print(json.dumps([max(codes), len(out.getvalue()), sorted(sys.modules)]))
"""
    modules = _modules(script, str(bank))
    assert "torch" in modules
    assert modules.isdisjoint(["torch._dynamo", "torchvision", "sympy", "numba", "matplotlib"])


def test_the_format_needs_neither_torch_nor_the_command_line(bank: Path) -> None:
    script = """
import json, sys
from pathlib import Path
from bank_format.bank import Bank
from bank_format.check.verify import verify
bank = Bank.open(Path(sys.argv[1]))
tasks, _ = bank.read_tasks()
weights = bank.base()
print(json.dumps([len(verify(bank.path).problems), len(tasks) * len(weights), sorted(sys.modules)]))
"""
    modules = _modules(script, str(bank))
    assert modules.isdisjoint([*HEAVY, "typer", "rich", "supsup_cli"])


def test_an_error_imports_nothing_heavy(tmp_path: Path) -> None:
    script = """
import json, sys
from supsup_cli.cli import main
codes = [main(["stats", "--bank", sys.argv[1], "--quiet"]), main(["nonesuch"])]
print(json.dumps([int(codes != [10, 2]), len(codes), sorted(sys.modules)]))
"""
    assert _modules(script, str(tmp_path)).isdisjoint(HEAVY)
