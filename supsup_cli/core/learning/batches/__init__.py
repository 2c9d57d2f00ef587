"""What one step sees: which images, how they are changed, and negatives."""
