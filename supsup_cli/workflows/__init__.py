"""One module per command: open the bank, call the core, commit, return a frozen dataclass.

Nothing here prints. Result types live in `results` and need no torch; modules that compute import
torch at their top, so the command line imports them only when their command runs.
"""
