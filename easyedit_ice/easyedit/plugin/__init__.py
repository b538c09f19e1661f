"""How our algorithms are registered in EasyEdit, and what is patched for that."""
