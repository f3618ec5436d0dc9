"""Floor 1: torch instruments that recipes share; they know no claim."""
