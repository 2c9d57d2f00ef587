"""Learning masks, and continuing where learning stopped."""
