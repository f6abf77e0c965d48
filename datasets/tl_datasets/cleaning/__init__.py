"""A written policy applied to findings, with a record to take it back."""
