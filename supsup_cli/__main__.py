"""The program: `supsup`, and `python -m supsup_cli`."""

import gc
import io
import os
import sys


def main() -> int:
    """Run one command and return its exit code."""
    _open_missing_streams()
    # Importing makes hundreds of thousands of objects that stay. Looking for garbage among them,
    # after every 700 and once more at the end, is a fifth of the time in which `stats` answers.
    gc.set_threshold(50_000, 20, 20)
    from supsup_cli import cli

    code = cli.main()
    if "torch" not in sys.modules:  # its bindings count what is never collected as leaks
        gc.freeze()
    return code


def _open_missing_streams() -> None:
    """Give a program started with closed streams empty ones: what it does is still worth doing."""
    if sys.stdin is None:
        sys.stdin = io.StringIO()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


if __name__ == "__main__":
    sys.exit(main())
