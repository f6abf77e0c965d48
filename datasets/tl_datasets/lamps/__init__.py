"""What a signal head shows, read from its pixels."""
