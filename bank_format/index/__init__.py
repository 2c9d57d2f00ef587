"""The index, a cache: a few sealed files with what lists and decisions need to know about tasks."""
