"""`tasks`: list, show, remove, copy, export and clean."""
