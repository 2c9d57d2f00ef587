"""Programs that measure; their figures are in the READMEs."""
