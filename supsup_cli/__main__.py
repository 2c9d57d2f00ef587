"""The program: `supsup`, and `python -m supsup_cli`."""

import gc
import io
import os
import sys


def main() -> int:
    """Run one command and return its exit code."""
    _prepare_streams()
    # Importing makes hundreds of thousands of objects that stay. Looking for garbage among them,
    # after every 700 and once more at the end, is a fifth of the time in which `stats` answers.
    gc.set_threshold(50_000, 20, 20)
    from supsup_cli import cli

    code = cli.main()
    if "torch" not in sys.modules:  # its bindings count what is never collected as leaks
        gc.freeze()
    return code


def _prepare_streams() -> None:
    """Let closed streams be empty ones, and let names on stdin be any bytes that files may have."""
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # as Python reads names of files
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


if __name__ == "__main__":
    sys.exit(main())
