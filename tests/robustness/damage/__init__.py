"""Damaged files: never a wrong answer, always the name of the file."""
