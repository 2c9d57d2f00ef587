"""Damaged files: never a wrong answer, always the file's name."""
