"""Files, locks and the one door to the system."""
