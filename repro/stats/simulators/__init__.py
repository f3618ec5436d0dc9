"""Simulators: records as they might have been, had the truth been another. They calibrate; they decide no verdict.

Each serves the estimator that names it (`@estimator(simulator=...)`): `means` (over seeds, paired), `exact` (values
without a draw, worst seeds), `slope` (log-log), `isoflop` (profiles), `law` (refits of the parametric law), `reference`
(submitted runs against reference runs); and `estimates` serves estimators that name none.
"""
