"""Division into train, val and test by whole units."""
