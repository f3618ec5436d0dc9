"""Attempts run again, and compared with what was recorded."""
