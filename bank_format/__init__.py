"""The bank on disk: files, seals, bits, records. Needs no torch. FORMAT.md is normative."""
