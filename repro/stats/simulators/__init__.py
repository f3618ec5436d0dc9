"""Simulators: records as they might have been, had the truth been another. They calibrate; they decide no verdict.

Each serves the estimator that names it (`@estimator(simulator=...)`): `means` (over seeds, paired), `exact` (values
without a draw, worst seeds), `slope` (log-log), `isoflop` (profiles, published points), `law` (refits of the parametric law),
`growth` (lines over time), `trend` (orders of levels), `reference` (submitted runs against reference runs), `convergence` (both of
these, one cell a part); and `estimates` serves estimators that name none.
"""
