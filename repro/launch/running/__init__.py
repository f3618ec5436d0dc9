"""How trials run: one, stacked, or in several processes; their limits, locks and ends. Standard library only."""
