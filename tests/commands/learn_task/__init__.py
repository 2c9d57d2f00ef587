"""`learn-task`: what it learns, and how it goes on after a stop."""
