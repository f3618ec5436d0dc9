"""Floor 3: evidence that a stranger can check, and citations of it.

`evidence` (what travels), `verification` (what holds of it), `signing` (who vouches for it), `citation` (what may be cited, and how),
`linting` (what has become of what was cited), `results` (published results, their tables and badges), `importing` (others' evidence).
"""
