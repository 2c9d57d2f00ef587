"""What commands answer: frozen dataclasses whose field names are the keys of `--json`."""
