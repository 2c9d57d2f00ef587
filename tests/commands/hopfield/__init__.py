"""`encode-hopfield`, and answers by attractors."""
