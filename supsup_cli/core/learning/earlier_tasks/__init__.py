"""What a new task takes from the masks of earlier tasks."""
