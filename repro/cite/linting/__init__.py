"""Citations found in other people's files, and what has become of what they cite."""
