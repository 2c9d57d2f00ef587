"""Everything that touches the disk: one door to the system, atomic steps, locks."""
