#!/usr/bin/env bash
# All checks, for people and for CI: formatting, lint, the arrows between packages, types, tests.
#
#   tests/run.sh              everything but the slow tests
#   tests/run.sh -m slow      the slow ones too can be named; arguments go to pytest
#
# Needs Python 3.11 or newer and the package index; makes the checkout's .venv if it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
# Tests start hundreds of programs, and each would compile the packages again.
unset PYTHONDONTWRITEBYTECODE

python=.venv/bin/python
if [ ! -x "$python" ]; then
    "${PYTHON:-python3}" -m venv .venv
fi
"$python" -m pip install --quiet ".[dev]"

PATH="$PWD/.venv/bin:$PATH"
ruff format --check .
ruff check .
lint-imports
mypy & # beside the next, which uses one core
types=$!
tests/processors.sh --share
wait "$types"
# One thread a test process: two processes that both use all cores would spin on each other.
OMP_NUM_THREADS=1 pytest -n "${TEST_PROCESSES:-2}" "$@"
