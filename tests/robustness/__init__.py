"""What may go wrong outside the program: damage, faults, hostile input, kills."""
