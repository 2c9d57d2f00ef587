"""Each kind of file: what is written can be read."""
