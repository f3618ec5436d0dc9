"""Training runs that are no evidence and show where grids ought to lie."""
