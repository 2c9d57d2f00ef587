"""`python -m supsup_cli` is `supsup`."""

import sys

from supsup_cli.cli import main

sys.exit(main())
