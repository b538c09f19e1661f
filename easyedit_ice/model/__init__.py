"""A loaded model: its parts, its logits, what a pass keeps, and the way back to how it was."""
