"""What can be said of a run before it is trained: what it can learn, what it costs, and what should be changed."""
