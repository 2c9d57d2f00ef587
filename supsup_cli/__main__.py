"""The program: `supsup`, and `python -m supsup_cli`."""

import gc
import os
import sys
from contextlib import suppress

from supsup_cli.standard_streams import prepare_streams

_INTERRUPTED = 130


def main() -> int:
    """Run one command and return its exit code."""
    prepare_streams()
    # Read when torch is loaded. Threads that spin while they wait take the processor from others:
    # next to two busy processes learning was three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Importing makes hundreds of thousands of objects that stay. Searching them for garbage, after
    # every 700 and once more at the end, is a fifth of the time that `stats` takes.
    gc.set_threshold(50_000, 20, 20)
    try:
        from supsup_cli import cli

        code = cli.main()
    except KeyboardInterrupt:  # before there was a command to interrupt
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        # After an interrupted import the interpreter ends by SIGINT, whatever the exit code, or
        # fails on half-imported modules.
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    if "torch" not in sys.modules:  # its bindings report uncollected objects as leaks
        gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(main())
