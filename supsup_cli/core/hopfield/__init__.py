"""Masks as attractors: store them, recall them, recover them from images only."""
