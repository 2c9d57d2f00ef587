"""`tasks` and its subcommands."""
