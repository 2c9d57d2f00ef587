"""What the commands do: open the bank, call the core, commit, return a frozen dataclass.

A room for each subject, and in it a module named after each command, beside what such modules
share. Nothing here prints. Answers lie in `results` and need no torch; modules that compute import
it at their top, so the command line imports a command's module only when that command runs.
"""
