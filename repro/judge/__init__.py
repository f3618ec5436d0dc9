"""Floor 2: the seal and the rule that decides; pure.

`seal` (what is fixed before the first trial), `rule` (`judge`: seal and estimates to a verdict), `part` (one target),
`comparison` (estimate against target on the deciding scale), `controls`, `extras`, `validity`, `staleness`; `error_rates` (of the bare
rule), `scenarios` and `calibrate` (of one protocol), `posterior` (from calibrated verdicts to odds).
"""
