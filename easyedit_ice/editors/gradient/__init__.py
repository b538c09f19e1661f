"""The gradient path: adapters, objectives, and the loop that trains one with the other."""
