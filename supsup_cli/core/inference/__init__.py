"""Which task is this? The methods, and whether the task is new."""
