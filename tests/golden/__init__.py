"""Banks committed for good."""
