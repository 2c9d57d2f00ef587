"""The commands: parse, call one workflow, hand the result to the output. No logic."""
