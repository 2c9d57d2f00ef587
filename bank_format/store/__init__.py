"""Where files lie in a bank: its layout, its tasks, claims and leftovers."""
