"""Weather, light and camera effects on frames: each at severities 1 to 5, decided by a seed, aware of signal heads."""
