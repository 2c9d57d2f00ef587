"""Learning masks, and going on where learning stopped."""
