"""The algorithms, and the two families they belong to."""
