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
    # Read when torch is loaded. Threads that spin while they wait take the processor from whoever
    # has work: beside two busy processes learning was three times slower so.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Importing makes hundreds of thousands of objects that stay. Looking for garbage among them,
    # after every 700 and once more at the end, is a fifth of the time in which `stats` answers.
    gc.set_threshold(50_000, 20, 20)
    try:
        from supsup_cli import cli

        code = cli.main()
    except KeyboardInterrupt:  # before there was a command to interrupt
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        # An import that was interrupted leaves a mark at which the interpreter ends by SIGINT,
        # whatever code it is told, or fails on modules that are half there.
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    if "torch" not in sys.modules:  # its bindings count what is never collected as leaks
        gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(main())
