"""Banks over trained networks: bases of torchvision and timm, their weights, their tasks."""
