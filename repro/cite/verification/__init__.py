"""What holds of a bundle: digests, seal, rows, and the verdict judged again."""
