"""Hostile files, names and images, from a seed."""
