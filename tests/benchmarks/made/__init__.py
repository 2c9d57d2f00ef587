"""What the programs share: banks and images that are made up, clocks, tables."""
