"""Two or more evaluations of the same frames side by side: differences, how sure they are, and where they lie."""
