"""The index: what lists and decisions need of all tasks, in a few sealed files; only a cache."""
