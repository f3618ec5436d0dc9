"""What an attempt leaves behind for a stranger: the container, its files, and what is gathered for them."""
