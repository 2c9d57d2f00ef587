"""What the frozen network, unmasked, tells of an image: which task it looks like."""
