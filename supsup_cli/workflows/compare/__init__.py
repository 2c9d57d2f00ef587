"""`compare`: the same tasks learned by several methods."""
