"""Names, numbers and marks as people read them."""
