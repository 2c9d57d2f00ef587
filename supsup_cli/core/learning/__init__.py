"""Learn a task's masks: recipes, update rules, the loop."""
