"""Tokens: rows of them, where a subject ends, texts that the model writes, and what a pass over them reads."""
