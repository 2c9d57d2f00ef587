"""What one step sees: which images, moved how, what besides."""
