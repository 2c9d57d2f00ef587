"""Processes that run at the same time, stopped at any moment."""
