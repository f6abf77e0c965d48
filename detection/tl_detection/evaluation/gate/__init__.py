"""Whether a report keeps to the limits of a rules file."""
