"""Floor 3: evidence that a stranger can check, and citations of it.

`bundle` (the container), `evidence` (what is in it), `verify` (what holds of it), `attest` (signatures), `citable` (what may be cited), `citation`
and `formats` (how it is cited), `badge`, `publish`, `importing`, `lint`.
"""
