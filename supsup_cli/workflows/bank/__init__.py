"""The bank itself: `init-base`, `stats`, `verify`, `doctor`."""
