"""How the model of the invented world is trained."""
