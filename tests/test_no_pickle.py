"""Nothing in a file is executed: no pickle, nor anything that hides one, in source or live."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT, run_apart

SOURCES = sorted(
    path for package in ("bank_format", "supsup_cli") for path in (ROOT / package).rglob("*.py")
)
MODULES = {
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml",
    "jsonpickle", "copyreg", "runpy", "code",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
LOADERS = {
    "torch.load", "torch.save", "torch.jit.load", "torch.hub.load", "torch.package", "np.load",
    "np.save", "np.savez", "numpy.load", "np.fromfile", "pd.read_pickle", "os.system", "os.popen",
}  # fmt: skip


def findings(source: str) -> Iterator[str]:
    """Return the names of what executes, or may execute, bytes of a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = {f"{module}.{one.name}".replace("numpy.", "np.") for one in node.names}
            yield from names & LOADERS
            if module.split(".")[0] in MODULES:
                yield module
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in LOADERS:
            yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell"):
            yield node.arg


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_executes_what_it_reads(path: Path) -> None:
    assert list(findings(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import load",
        "load = torch.load",
        "np.load('x', allow_pickle=True)",
        "open_it(allow_pickle=False)",
        "from numpy import load",
        "eval('1')",
        "run = exec",
        "import yaml\nyaml.load('x')",
        "import shelve",
        "import marshal",
        "__import__('pickle')",
        "subprocess.run('x', shell=True)",
    ],
)
def test_the_scan_finds_what_it_looks_for(source: str) -> None:
    assert list(findings(source))


def test_no_command_looks_up_a_class_for_a_pickle(bank: Path, tmp_path: Path) -> None:
    """Python reports to its auditors every class that a pickle names."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def stop(event, args):\n"
        "    if event == 'pickle.find_class':\n"
        "        os.write(2, f'pickle names {args}'.encode())\n"
        "        os._exit(99)\n"
        "sys.addaudithook(stop)\n"
    )
    apart = {"environment": {"PYTHONPATH": str(tmp_path)}}
    for words in (
        ("predict", "--data", "mnist-perm-0", "--limit", 2, "--bank", bank),
        ("verify", "--bank", bank),
    ):
        ran = run_apart(*words, **apart)
        assert (ran.code, ran.err) == (0, ""), ran
