"""What the commands do: open the bank, call the core, commit, return a frozen dataclass.

There is a room for each subject, with a module for each command and what such modules share.
Nothing here prints. Answers are in `results` and need no torch. Modules that compute import torch
at their top, so the command line imports a command's module only when that command runs.
"""
