"""Learning tasks: recipes, time, outputs, what tasks bring each other."""
