"""How often a protocol would decide rightly."""
