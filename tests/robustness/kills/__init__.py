"""Processes beside each other, stopped at any moment."""
