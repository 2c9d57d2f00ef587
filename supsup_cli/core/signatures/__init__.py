"""What the frozen network, unmasked, says about an image: which task it looks like."""
