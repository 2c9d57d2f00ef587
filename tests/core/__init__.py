"""The method: networks, masks, learning, inference."""
