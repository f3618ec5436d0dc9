"""What may be cited, and how each format says it."""
