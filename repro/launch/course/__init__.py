"""How far trials are and what is left."""
