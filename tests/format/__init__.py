"""The bank on disk, against FORMAT.md."""
