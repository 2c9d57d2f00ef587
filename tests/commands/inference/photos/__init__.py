"""Contact sheets and sorted photos."""
