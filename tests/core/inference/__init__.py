"""Naming a task, and recognising a new one."""
