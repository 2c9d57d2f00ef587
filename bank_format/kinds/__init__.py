"""The content of each kind of file: bank.json, base, masks, attractors, states."""
