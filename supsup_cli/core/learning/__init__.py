"""How a task's masks are learned: recipes, update rules, the loop."""
