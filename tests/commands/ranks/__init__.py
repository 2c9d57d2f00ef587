"""Commands on several ranks, as torchrun starts them."""
