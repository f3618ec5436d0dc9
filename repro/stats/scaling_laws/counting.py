"""What a scaling law's N and C count. Exponents of different counting are exponents of different quantities.

Kaplan et al. 2020 (arXiv 2001.08361) leave the embeddings out of N and count C = 6ND; Hoffmann et al. 2022 (arXiv 2203.15556)
count all parameters, and attention in C. For small models that alone moves the exponent of N* from about 0.5 to above 0.7
(Pearce and Song 2024, arXiv 2406.12907; Porian et al. 2024, arXiv 2406.19146).
"""

from dataclasses import dataclass

from repro.schema.errors import EstimateError, nearest

_WORDS = ("embedding", "head", "attention")
_NAMES = ("none", "unstated", "embedding+head+attention", "embedding+head", "head+attention", "head")


@dataclass(frozen=True)
class Counting:
    """Whether N and C include what counts differ on; None where the source of the runs does not say.

    >>> Counting.of("head+attention")
    Counting(embedding=False, head=True, attention=True)
    >>> Counting.of("none").params_column
    'params_non_embedding'
    """

    embedding: bool | None
    """N includes the input embedding (and learned positions)."""
    head: bool | None
    """N, and with it C, includes the output head; a tied one counts once."""
    attention: bool | None
    """C includes the FLOPs of attention scores, which no 6ND has."""

    @staticmethod
    def of(name: "Counting | str") -> "Counting":
        """Return the counting of this name: what is included, joined by `+`; `none` of them; or `unstated`.

        Raises:
            EstimateError: for a name that is none of these.
        """
        if isinstance(name, Counting):
            return name
        if name == "unstated":
            return Counting(None, None, None)
        included = [] if name == "none" else str(name).split("+")
        if not name or set(included) - set(_WORDS) or len(set(included)) < len(included):
            raise EstimateError(
                f"counting must say what N and C include: some of {', '.join(_WORDS)} joined by '+', or 'none', or 'unstated' "
                f"where the source of the runs does not say; not '{name}'.{nearest(str(name), _NAMES)}"
            )
        return Counting(*(word in included for word in _WORDS))

    @property
    def name(self) -> str:
        """The name that `of` reads."""
        flags = (self.embedding, self.head, self.attention)
        if None in flags:
            return "unstated"
        return "+".join(word for word, flag in zip(_WORDS, flags, strict=True) if flag) or "none"

    @property
    def params_column(self) -> str:
        """The column that holds N counted so: `params_total`, `_with_embedding`, `_with_head`, `_non_embedding`, or `params`."""
        if self.embedding is None or self.head is None:
            return "params"
        suffix = {(True, True): "total", (True, False): "with_embedding", (False, True): "with_head"}
        return f"params_{suffix.get((self.embedding, self.head), 'non_embedding')}"

    def __str__(self) -> str:
        if self.name == "unstated":
            return "what N and C count is not stated"
        counted = [word for word, flag in (("embedding", self.embedding), ("head", self.head)) if flag]
        attention = "with" if self.attention else "without"
        return f"N with {' and '.join(counted) or 'neither embedding nor head'}, C {attention} attention"
