"""What each file of a bundle is, in one sentence: the README and the crate say the same."""

from collections.abc import Mapping

FILES: Mapping[str, str] = {
    "README.md": "This page, for people.",
    "attempt.json": "The whole attempt: its seal, its verdict, when it ran, and what its producer says of its origin.",
    "claim.json": "The paper, the claim as it was sealed, and the data sets that the trials read.",
    "seal.json": "Everything that decides the verdict, fixed before the first trial ran. Its digest is the seal.",
    "trials.jsonl": "Every trial, one JSON object a line, failed ones too: settings, measurements, machine, and the seals it ran under.",
    "estimate.json": "What the estimator made of the trials, for the main arm and for each control.",
    "verdict.json": "The verdict with the interval, margin and deviation of each part, and of each control.",
    "environment.json": "Commit, packages and machines, without names or credentials.",
    "provenance.json": "How each trial ran: the whole environment with its packages, device, energy, memory, speed, and what was not deterministic.",
    "figure.svg": "The measured value and its interval beside the published one.",
    ".hydra/config.yaml": "The resolved config that the attempt was launched with.",
    ".hydra/overrides.yaml": "What was changed by hand on the command line; anything here makes the attempt exploratory.",
    "ro-crate-metadata.json": "The same in the words of RO-Crate, for programs.",
    "SHA256SUMS": "The sha256 of every other file.",
}

_SOURCE = (
    "Source of the recipe, or of a module that it imports from this project, as it ran. It is shown, never executed."
)

_MEDIA = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


def what_it_is(name: str) -> str:
    """Return one sentence on a file of a bundle."""
    return FILES.get(name, _SOURCE)


def media_type(name: str) -> str:
    """Return the media type of a file of a bundle."""
    return _MEDIA.get(f".{name.rpartition('.')[2]}", "text/plain")
