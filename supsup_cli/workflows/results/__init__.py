"""What commands answer: frozen dataclasses, with the keys of `--json` as field names."""
