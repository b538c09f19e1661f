"""One module per registered algorithm: its hyperparameters, and the function that solves for the update."""
