"""Why an attempt is stale: everything that its seal covers, then and now, in plain words. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from repro.judge.reading import margin_text
from repro.judge.trial_differences import Laid, Sources, trial_differences
from repro.schema.canonical import canonical_json
from repro.schema.claim import Part, Rule, Target
from repro.schema.errors import RecordError, StoreError
from repro.schema.jsonform import from_json, parse_json, to_json
from repro.schema.verdict import Sealed, SealedControl

STALE_VERSION = 1

Describe = Callable[[str, Any, Any], list[str]]
"""How a field's name, its old value and its new one read."""


@dataclass(frozen=True)
class Stale:
    """An attempt that would be sealed otherwise today."""

    seal_now: str | None
    """The seal that it would get; None if it would get none."""
    reasons: tuple[str, ...]
    """What has changed, in sentences."""


@dataclass(frozen=True)
class _StaleFile:
    stale: Mapping[str, Stale]
    version: int = STALE_VERSION


def stale_text(stale: Mapping[str, Stale]) -> str:
    """Return what is stale as the text of `repro.schema.places.stale_file()`."""
    return canonical_json(to_json(_StaleFile(stale))) + "\n"


def read_stale(text: str, where: str) -> dict[str, Stale]:
    """Return what is stale by attempt id, from the text of `repro.schema.places.stale_file()`.

    Raises:
        StoreError: if the text is damaged.
    """
    try:
        return dict(from_json(_StaleFile, parse_json(text, where), where).stale)
    except RecordError as error:
        raise StoreError(
            f"{error} Remove {where}: `repro status --stale`, `repro pages` and `repro serve` write it again."
        ) from error


def differences(
    then: Sealed,
    now: Sealed | None,
    then_records: Mapping[str, Laid] | None = None,
    now_specs: Mapping[str, Laid] | None = None,
    *,
    then_sources: Sources | None = None,
    now_sources: Sources | None = None,
    gone: str = "",
) -> tuple[str, ...]:
    """Return in sentences what has changed of that which a seal covers; nothing if the seals are equal.

    Args:
        then: what was sealed.
        now: what would be sealed today; None if nothing would.
        then_records: records of the sealed trials by key, as far as they are known.
        now_specs: trials as they would be laid out today, by key.
        then_sources: texts of the modules that the sealed trials cover, by dotted name; None if they were not kept.
        now_sources: the same of today.
        gone: why nothing would be sealed today.
    """
    if now is None:
        return (gone or "What was sealed is no longer there.",)
    if then.digest == now.digest:
        return ()
    found: list[str] = []
    described: dict[str, Describe] = {**_DESCRIBED, "estimator_sources": partial(_sources, now.estimator)}
    for name in [field.name for field in fields(Sealed)]:
        old, new = getattr(then, name), getattr(now, name)
        if not _same(old, new):
            found += described.get(name, _plain)(name.replace("_", " "), old, new)
    lack = _arms(then), _arms(now)
    if any(not _same(lack[0].get(arm), lack[1].get(arm)) for arm in lack[0] if arm in lack[1]):
        found += trial_differences(*lack, then_records or {}, now_specs or {}, then_sources, now_sources)
    return tuple(dict.fromkeys(found)) or ("Something that the seal covers has changed.",)


def _arms(sealed: Sealed) -> dict[str, tuple[str, ...]]:
    return {"main": sealed.trials, **{name: control.trials for name, control in sealed.controls.items()}}


def _same(old: Any, new: Any) -> bool:
    """Compare as seals do: a list is a tuple, 1 is not 1.0."""
    return canonical_json(to_json(old)) == canonical_json(to_json(new))


def _shown(value: Any) -> str:
    """Return a value of a config as people write it."""
    if isinstance(value, str):
        return value or "nothing"
    if value is None or value in ((), [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return canonical_json(to_json(value))


def _was(what: str, old: Any, new: Any) -> str:
    return f"{what} was {_shown(old)}, now {_shown(new)}."


def _plain(what: str, old: Any, new: Any) -> list[str]:
    return [_was(f"The {what}", old, new)]


def _mappings(
    what: str, old: Mapping[str, Any], new: Mapping[str, Any], describe: Callable[[str, Any, Any], Iterable[str]]
) -> Iterator[str]:
    """Say what was added to a mapping, what was removed, and how what is in both has changed."""
    for name in old:
        if name not in new:
            yield f"The {what} '{name}' was removed."
    for name in new:
        if name not in old:
            yield f"The {what} '{name}' was added."
        elif not _same(old[name], new[name]):
            yield from describe(name, old[name], new[name])


def _arguments(of: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    def changed(name: str, before: Any, after: Any) -> list[str]:
        return [_was(f"The argument '{name}' of {of}", before, after)]

    return list(_mappings(f"argument of {of}", old, new, changed))


def _parts(what: str, old: Mapping[str, Part], new: Mapping[str, Part]) -> list[str]:
    """Say what has changed of the parts; what has changed alike in several is said once."""
    alike: dict[str, list[str]] = {}
    for name in old:
        if name in new:
            for said in (*_target(old[name].target, new[name].target), *_rule(old[name].rule, new[name].rule)):
                alike.setdefault(said, []).append(name)
    among = list({**old, **new})
    found = [said.replace(_OF, _of(names, among)) for said, names in alike.items()]
    return [*_mappings("part", old, new, lambda name, before, after: []), *found]


_OF = "\x00"
"""Stands where a sentence names the parts it is about."""


def _of(names: Sequence[str], among: Sequence[str]) -> str:
    if len(among) == 1:
        return ""
    if len(names) == len(among):
        return " of every part"
    shown = [f"'{name}'" for name in names]
    if len(shown) > 3:
        return f" of {len(shown)} of {len(among)} parts ({', '.join(shown[:2])}, ...)"
    return f" of {' and '.join([', '.join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)}"


_TARGET: Mapping[str, str] = {
    "printed": "published value",
    "interval": "published interval",
    "sd": "published standard deviation",
    "n": "published number of runs",
    "source": "source of the published value",
    "locator": "place of the published value in the paper",
    "approximate": "mark of the published value as approximate",
}


def _target(old: Target, new: Target) -> Iterator[str]:
    for field in fields(Target):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if not _same(before, after):
            yield _was(f"The {_TARGET.get(field.name, field.name)}{_OF}", before, after)


def _rule(old: Rule, new: Rule) -> Iterator[str]:
    for field in fields(Rule):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if _same(before, after):
            continue
        if field.name == "margin":
            yield _was(f"The margin{_OF}", margin_text(before), margin_text(after))
        elif field.name == "because":
            yield f"The reason given for the margin{_OF} was reworded."
        elif field.name == "rivals":
            yield from _mappings(
                f"rival{_OF}", before, after, lambda name, a, b: [_was(f"The rival '{name}'{_OF}", a, b)]
            )
        else:
            yield _was(
                f"The {'kind of rule' if field.name == 'kind' else f'{field.name} of the rule'}{_OF}", before, after
            )


def _controls(what: str, old: Mapping[str, SealedControl], new: Mapping[str, SealedControl]) -> list[str]:
    def changed(name: str, before: SealedControl, after: SealedControl) -> Iterator[str]:
        if before.expect != after.expect:
            yield _was(f"What is expected of the control '{name}'", before.expect, after.expect)
        yield from _arguments(f"the estimator in the control '{name}'", before.arguments, after.arguments)

    return list(_mappings("control", old, new, changed))


def _scales(what: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    return [f"The decisive scales were {' and '.join(old) or 'none'}, now {' and '.join(new) or 'none'}."]


def _sources(estimator: str, what: str, old: str, new: str) -> list[str]:
    digests = f"({old[:8]} to {new[:8]})"
    return [f"The source of the estimator {estimator}, or of a module that it imports, has changed {digests}."]


def _seeds(what: str, old: Sequence[int], new: Sequence[int]) -> list[str]:
    return [f"The seeds were {_run(old)}, now {_run(new)}."]


def _run(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or "none"


def _nothing(what: str, old: Any, new: Any) -> list[str]:
    """Trials are compared arm by arm, once for all arms."""
    return []


def _exclusions(what: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    removed = [f"The exclusion '{text}' was removed." for text in old if text not in new]
    added = [f"The exclusion '{text}' was added." for text in new if text not in old]
    return removed + added or ["The exclusions were put in another order."]


_DESCRIBED: Mapping[str, Describe] = {
    "parts": _parts,
    "arguments": lambda what, old, new: _arguments("the estimator", old, new),
    "trials": _nothing,
    "replicates": _seeds,
    "controls": _controls,
    "decisive": _scales,
    "exclusions": _exclusions,
    "deterministic": lambda what, old, new: [_was("Whether the study is deterministic", old, new)],
    "same_recipe": lambda what, old, new: [_was("Whether the paper's own recipe runs", old, new)],
    "indicative": lambda what, old, new: [_was("Whether it was sealed although it could hardly decide", old, new)],
    "alpha": lambda what, old, new: [_was("The level α", old, new)],
    "looks": lambda what, old, new: [_was("The number of looks at the data", old, new)],
    "max_replicates": lambda what, old, new: [_was("The most seeds there may be", old, new)],
    "version": lambda what, old, new: [_was("The version of the seal's form", old, new)],
    "kind": lambda what, old, new: [_was("The kind of the protocol", old, new)],
}
"""How a field of the seal reads; any other by its name."""
