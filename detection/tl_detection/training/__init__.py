"""Training of both models: what they share, and one file each."""
