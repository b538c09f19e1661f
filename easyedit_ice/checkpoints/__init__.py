"""Where models come from: folders, hub names, GGUF files, and packages that hold one; and the way back to GGUF."""
