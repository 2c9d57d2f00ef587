"""System calls that fail, disks that fill up, power cuts."""
