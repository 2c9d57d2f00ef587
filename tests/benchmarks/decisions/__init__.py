"""Naming tasks, and telling known from new: how well, how fast, among how many."""
