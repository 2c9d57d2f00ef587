"""Storing masks as attractors, recall and recovery."""
