"""Named data and users' images."""
