"""What may go wrong outside: damage, faults, hostile input, kills."""
