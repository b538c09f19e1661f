"""Whether an edit took, and what else it moved."""
