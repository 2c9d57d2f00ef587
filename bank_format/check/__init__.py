"""What is wrong with a bank, as data, and how it is repaired."""
