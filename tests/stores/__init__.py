"""Banks in object stores."""
