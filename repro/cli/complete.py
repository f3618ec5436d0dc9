"""Shell completion of claims, scales, protocols and executors, from the index alone."""

from repro.schema.claim import SCALES


def complete_words(incomplete: str) -> list[str]:
    """Complete a claim name, or the value of claim=, protocol=, scale= or executor=."""
    from repro.catalog.index import load_index

    key, equals, value = incomplete.partition("=")
    index = load_index()
    if not equals:
        keys = [f"{name}=" for name in ("scale", "protocol", "executor", "replicates", "claim")]
        return [name for name in (*index.claims, *keys) if name.startswith(incomplete)]
    options = {
        "claim": tuple(index.claims),
        "scale": SCALES,
        "protocol": tuple(sorted({name for entry in index.claims.values() for name in entry.protocols})),
        "executor": ("inline", "processes", "slurm", "ray", "detached"),
    }.get(key, ())
    return [f"{key}={option}" for option in options if option.startswith(value)]


def complete_scout(incomplete: str) -> list[str]:
    """Complete a study, or the value of scale= or executor=."""
    from repro.catalog.roots import config_roots

    if "=" in incomplete:
        return [word for word in complete_words(incomplete) if word.startswith(("scale=", "executor="))]
    directories = [root.directory / "study" for root in config_roots()]
    names = [file.relative_to(d).with_suffix("").as_posix() for d in directories for file in sorted(d.rglob("*.yaml"))]
    return [name for name in (*names, "scale=", "executor=") if name.startswith(incomplete)]


def complete_claims(incomplete: str) -> list[str]:
    """Complete a claim name."""
    from repro.catalog.index import load_index

    return [name for name in load_index().claims if name.startswith(incomplete)]


def complete_attempts(incomplete: str) -> list[str]:
    """Complete an attempt's name, from the ledger and the index of published results."""
    from repro.ledger.fast import known_names

    return [name for name in known_names() if name.startswith(incomplete)]
