"""The index: rows that hold, files that are merged, damage that costs only time."""
