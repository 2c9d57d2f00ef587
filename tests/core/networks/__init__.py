"""Networks, their statistics and traits."""
