"""Where and from what something ran, and what it took."""
