"""Calls to the system that fail, disks that fill, power cuts."""
