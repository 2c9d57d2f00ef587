"""Masks as attractors: storing, recall, recovery from images alone."""
