"""Where files lie: signatures that were made later."""
