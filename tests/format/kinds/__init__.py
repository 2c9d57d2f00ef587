"""Each kind of file: what is written is read."""
