"""The record store, and what lies in it that should not."""
