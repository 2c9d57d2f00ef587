"""The program: `supsup`, and `python -m supsup_cli`."""

import gc
import sys


def main() -> int:
    """Run one command and return its exit code."""
    # Importing makes hundreds of thousands of objects that stay. Looking for garbage among them,
    # after every 700 and once more at the end, is a fifth of the time in which `stats` answers.
    gc.set_threshold(50_000, 20, 20)
    from supsup_cli import cli

    code = cli.main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(main())
