"""What each kind of file says: bank.json, base, masks, attractors, states."""
