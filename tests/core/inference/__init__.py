"""Naming a task, and telling a new one."""
