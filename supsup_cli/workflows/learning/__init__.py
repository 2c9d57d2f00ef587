"""`learn-task`: from names of data to committed masks."""
