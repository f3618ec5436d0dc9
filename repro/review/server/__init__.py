"""What only a server can: one reading of the book for many readers, what runs now, and the pages inside MLflow."""
