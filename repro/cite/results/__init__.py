"""Published results: the directory, its index, its tables, the badges."""
