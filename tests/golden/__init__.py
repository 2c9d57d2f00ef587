"""The bank committed for ever."""
