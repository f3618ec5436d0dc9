"""Which trials a seal covered and which it would cover today: recipe, sources, config, data, device, in plain words. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from repro.schema.canonical import canonical_json
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec

Laid = TrialRecord | TrialSpec
"""A trial as it ran, or as it would run."""

Sources = Mapping[str, str]
"""Text of each module by its dotted name."""

_MOST = 6
"""Values or fields that are named; more are counted."""


def trial_differences(
    then: Mapping[str, Sequence[str]],
    now: Mapping[str, Sequence[str]],
    then_records: Mapping[str, Laid],
    now_specs: Mapping[str, Laid],
    then_sources: Sources | None,
    now_sources: Sources | None,
) -> list[str]:
    """Return in sentences how the trials of the arms that both seals have differ.

    Args:
        then: sealed trial keys by arm.
        now: those of today.
        then_records: by key; what is not among them is not known any more.
        now_specs: by key.
        then_sources: of the recipe, where they were kept.
        now_sources: of the recipe today.
    """
    found: list[str] = []
    for arm in then:
        if arm not in now or list(then[arm]) == list(now[arm]):
            continue
        old = [then_records[key] for key in then[arm] if key in then_records]
        new = [now_specs[key] for key in now[arm] if key in now_specs]
        if not old or not new:
            found.append(f"The trials of {_name(arm)} are others; the old ones are not here to say in what.")
            continue
        told = list(_shared(old, new, then_sources, now_sources))
        told += [f"{_where(arm)}{line}." for line in _configs(old, new)]
        if not told:
            if sorted(then[arm]) != sorted(now[arm]):
                told = (
                    [f"{_where(arm)}The settings of the trials are combined otherwise."]
                    if _same_seeds(old, new)
                    else []
                )
            else:
                told = [f"{_where(arm)}The trials run in another order."]
        if len(then[arm]) != len(now[arm]):
            told.append(f"{_name(arm).capitalize()} had {len(then[arm])} trials, now {len(now[arm])}.")
        found += [line for line in told if line.removeprefix(_where(arm)) not in found]
    return found


def _name(arm: str) -> str:
    return "the main arm" if arm == "main" else f"the control '{arm}'"


def _where(arm: str) -> str:
    return "" if arm == "main" else f"Control '{arm}': "


def _shared(
    old: Sequence[Laid], new: Sequence[Laid], then_sources: Sources | None, now_sources: Sources | None
) -> Iterator[str]:
    """Say what a whole arm shares: recipe, sources, data, device, precision, what is measured."""
    for what, field in (
        ("recipe", "recipe"),
        ("device", "device"),
        ("precision", "precision"),
        ("kind of measurement", "measures"),
    ):
        before, after = _values(old, field), _values(new, field)
        if before != after:
            yield f"The {what} was {_listed(before)}, now {_listed(after)}."
    if _values(old, "sources") != _values(new, "sources"):
        yield from _modules(new[0].recipe, then_sources, now_sources)
    yield from _data(
        {n: s for r in old for n, s in _of_data(r).items()}, {n: s for r in new for n, s in _of_data(r).items()}
    )


def _modules(recipe: str, then: Sources | None, now: Sources | None) -> Iterator[str]:
    changed = [
        name for name in sorted({*(then or {}), *(now or {})}) if (then or {}).get(name) != (now or {}).get(name)
    ]
    if then is None or now is None or not changed:
        yield f"The source of the recipe {recipe}, or of a module that it imports, has changed."
        return
    for name in changed:
        if name not in then:
            yield f"The recipe imports the module {name}, which it did not."
        elif name not in now:
            yield f"The recipe no longer imports the module {name}."
        else:
            yield f"The source of the {'recipe' if name == recipe else 'module'} {name} has changed."


def _of_data(trial: Laid) -> Mapping[str, str]:
    return trial.data if isinstance(trial, TrialRecord) else {data.id: data.sha256 for data in trial.data}


def _data(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in old:
        if name not in new:
            yield f"The data set '{name}' is no longer read."
    for name, digest in new.items():
        if name not in old:
            yield f"The data set '{name}' is read, which was not."
        elif old[name] != digest:
            yield f"The data set '{name}' is another file: its sha256 was {old[name][:12]}, now {digest[:12]}."


def _configs(old: Sequence[Laid], new: Sequence[Laid]) -> Iterator[str]:
    """Say for each field of the config which values it took and takes; the seed is said of the whole attempt."""
    told = 0
    before_fields, after_fields = _fields(old), _fields(new)
    if not _same_seeds(old, new):
        before_fields.pop("seed", None)
        after_fields.pop("seed", None)
    for name in dict.fromkeys([*before_fields, *after_fields]):
        before, after = before_fields.get(name), after_fields.get(name)
        if before == after:
            continue
        told += 1
        if told > _MOST:
            continue
        if before is None:
            yield f"The config has the new field '{name}' ({_listed(after or ())})"
        elif after is None:
            yield f"The config has lost the field '{name}' ({_listed(before)})"
        else:
            yield f"The config's '{name}' was {_listed(before)}, now {_listed(after)}"
    if told > _MOST:
        yield f"{told - _MOST} more fields of the config changed"


def _same_seeds(old: Sequence[Laid], new: Sequence[Laid]) -> bool:
    return {trial.replicate for trial in old} == {trial.replicate for trial in new}


def _fields(trials: Sequence[Laid]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for trial in trials:
        for name, value in trial.config.items():
            found.setdefault(name, {})[_text(value)] = None
    return {name: sorted(values, key=_number_first) for name, values in found.items()}


def _number_first(text: str) -> tuple[bool, float, str]:
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def _values(trials: Sequence[Laid], field: str) -> list[str]:
    return sorted({str(getattr(trial, field)) for trial in trials})


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else canonical_json(to_json(value))


def _listed(values: Collection[str]) -> str:
    shown = [value if len(value) <= 60 else f"{value[:57]}..." for value in values]
    if len(shown) > _MOST:
        return f"{', '.join(shown[: _MOST - 1])} and {len(shown) - _MOST + 1} more values"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
