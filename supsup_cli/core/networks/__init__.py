"""The networks that masks run on: specs, layers, statistics, traits."""
