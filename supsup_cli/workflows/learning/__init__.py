"""`learn-task`: turn names of data into committed masks."""
