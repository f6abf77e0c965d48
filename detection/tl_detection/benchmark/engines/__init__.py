"""What is measured: each file opens one engine, and gives a function from a frame to its boxes, scores and classes."""
