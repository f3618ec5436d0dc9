"""What a plan would run, decide and cost, for people and as JSON."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from repro.catalog.load import load_study
from repro.judge.forecast import Forecast, Outlook
from repro.judge.looks import seeds_of_look
from repro.judge.numbers import duration, significant
from repro.launch.planning.cost import Cost, Speeds, cost_of, speeds
from repro.launch.planning.data_needs import needs_of
from repro.launch.provenance.origin import fingerprint
from repro.launch.records.store import RecordStore
from repro.launch.session import Prepared
from repro.schema.places import records_dir
from repro.schema.trial import PlannedAttempt, TrialSpec
from repro.schema.verdict import Sealed

INDICATIVE = "indicative: sealed although it can hardly decide, and shown so for ever"


def plan_rows(prepared: Prepared, missing: Collection[str]) -> list[dict[str, Any]]:
    """Return one row a requested attempt: trials, seeds, power and what it needs, expected cost, and a refusal if any.

    Args:
        prepared: the plan with its outlooks.
        missing: keys of the trials that have no record, those of all looks.
    """
    known = speeds(RecordStore(records_dir()))
    specs = {spec.key: spec for spec in prepared.plan.trials}
    requested = [attempt for attempt in prepared.plan.attempts if attempt.requested]
    return [_row(attempt, prepared, specs, missing, known) for attempt in requested]


def _row(
    attempt: PlannedAttempt,
    prepared: Prepared,
    specs: Mapping[str, TrialSpec],
    missing: Collection[str],
    known: Speeds,
) -> dict[str, Any]:
    sealed, outlook = attempt.sealed, prepared.outlooks[attempt.id]
    keys = list(dict.fromkeys(key for arm in attempt.arms.values() for key in arm))
    older = _ran_before([specs[key] for key in keys if key not in missing], sealed)
    still = [specs[key] for key in keys if key in missing]
    now = cost_of(still, known, prepared.budget)
    whole = cost_of([specs[key] for key in keys], known, prepared.budget)
    return {
        "attempt": attempt.id,
        "claim": attempt.claim,
        "protocol": attempt.protocol,
        "scale": attempt.scale,
        "arms": {arm: len(arm_keys) for arm, arm_keys in attempt.arms.items()},
        "trials": len(keys),
        "to_run": len(still),
        "seeds": list(sealed.replicates),
        "flops": now.flops if still else None,
        "seconds": now.seconds if still else None,
        "decisive": attempt.scale in sealed.decisive,
        "exploratory": bool(attempt.overrides),
        "indicative": sealed.indicative,
        "deterministic": sealed.deterministic,
        "unit": sealed.resampling_unit,
        "smoke": sealed.scale != "smoke" and "smoke" in load_study(sealed.study).scales,
        "seal": sealed.digest,
        "labels": [specs[key].label for key in attempt.arms["main"]],
        "data": [asdict(need) for need in needs_of([specs[key] for key in keys])],
        "looks": _looks(sealed, outlook),
        "forecast": _forecast(outlook),
        "refusal": outlook.refusal or None,
        "post_hoc": older,
        "cost": {
            "now": _cost(now),
            "for_80": _cost_for(whole, outlook.units_80, outlook),
            "for_95": _cost_for(whole, outlook.units_95, outlook),
        },
    }


def _ran_before(trials: Sequence[TrialSpec], sealed: Sealed) -> int:
    """Return how many finished trials do not carry the seal: they ran before it, or for other claims that did not know it."""
    store = RecordStore(records_dir())
    prints = {device: fingerprint(device) for device in {spec.device for spec in trials}}
    records = [store.find(spec, prints[spec.device]) for spec in trials]
    return sum(record is not None and sealed.digest not in record.seals for record in records)


def _looks(sealed: Sealed, outlook: Outlook) -> dict[str, Any]:
    return {
        "seeds": [len(seeds_of_look(sealed, look)) for look in range(1, sealed.looks + 1)],
        "alpha": sealed.alpha / sealed.looks,
        "expected_seeds": outlook.expected_units,
    }


def _forecast(outlook: Outlook) -> dict[str, Any]:
    return {
        "power": outlook.power_now,
        "seeds_80": outlook.units_80,
        "seeds_95": outlook.units_95,
        "undecidable": outlook.undecidable or None,
        "parts": {part.part: _part(part) for part in outlook.parts},
    }


def _part(part: Forecast) -> dict[str, Any]:
    renamed = {"units_now": "seeds", "power_now": "power", "units_80": "seeds_80", "units_95": "seeds_95"}
    fields = {renamed.get(name, name): value for name, value in asdict(part).items() if name != "part"}
    return {name: value if value != "" else None for name, value in fields.items()}


def _cost_for(whole: Cost, seeds: int | None, outlook: Outlook) -> dict[str, Any] | None:
    return None if seeds is None else _cost(whole.times(seeds / outlook.units_now))


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "flops": cost.flops,
        "seconds": cost.seconds,
        "seconds_from": cost.seconds_from,
        "flops_per_s": cost.flops_per_s,
        "gpu_hours": cost.gpu_hours,
        "cpu_hours": cost.cpu_hours,
        "money": cost.money,
        "device": cost.device,
    }


def plan_text(rows: Sequence[Mapping[str, Any]], prepared: Prepared, missing: Collection[str]) -> RenderableType:
    """Return the plan as a short block an attempt, and the sum."""
    shared = {key for a in prepared.plan.attempts if a.requested for keys in a.arms.values() for key in keys}
    total = f"{len(rows)} attempt{'' if len(rows) == 1 else 's'}, {len(shared)} trials in all, {len(missing)} to run"
    refused = sum(row["refusal"] is not None for row in rows)
    if refused:
        total += f"; {refused} can hardly decide and will not be sealed without --indicative"
    return Group(*(block for row in rows for block in (*_block(row, prepared), Text(""))), Text(total))


def _block(row: Mapping[str, Any], prepared: Prepared) -> tuple[RenderableType, ...]:
    decides = "decides" if row["decisive"] else "indicative: this scale never decides"
    standing = [row["protocol"] + " at " + row["scale"], decides]
    standing += ["exploratory"] if row["exploratory"] else []
    standing += [INDICATIVE] if row["indicative"] else []
    arms = ", ".join(f"{count} {arm}" for arm, count in row["arms"].items())
    seeds = row["seeds"]
    table = Table.grid(Column(width=7, style="dim"), Column(overflow="fold"), padding=(0, 0, 0, 2))
    table.add_row("test", ", ".join(standing))
    table.add_row("trials", f"{row['trials']} ({arms}), {row['to_run']} to run")
    table.add_row("seeds", f"{seeds[0]}{f' to {seeds[-1]}' if len(seeds) > 1 else ''}")
    if row["decisive"] or row["forecast"]["power"] is not None:
        table.add_row("power", "\n".join(_power_lines(row)))
    if len(row["looks"]["seeds"]) > 1:
        table.add_row("looks", _looks_line(row["looks"]))
    table.add_row("cost", "\n".join(_cost_lines(row, prepared)))
    if row["data"]:
        table.add_row("data", Group(*_data_lines(row["data"])))
    table.add_row("seal", row["seal"][:16])
    if row["post_hoc"]:
        said = f"{row['post_hoc']} of its trials ran before this seal, so that the verdict would be post hoc and not citable. "
        table.add_row(Text("note", style="bold yellow"), f"{said}--new-seeds makes a fresh attempt.")
    if row["refusal"]:
        table.add_row(Text("refused", style="bold yellow"), Text(f"{row['refusal']}.", style="yellow"))
    return Text(row["claim"], style="bold"), table


def _data_lines(needs: Sequence[Mapping[str, str]]) -> list[RenderableType]:
    here = [need["id"] for need in needs if need["state"] == "here"]
    lines: list[RenderableType] = [f"{', '.join(here)}: here"] if here else []
    for need in needs:
        if need["state"] != "here":
            style = "" if need["state"] == "to_fetch" else "yellow"
            lines.append(Text(f"{need['id']}: {need['said']}", style=style))
    return lines


def _power_lines(row: Mapping[str, Any]) -> list[str]:
    """Say in a few lines how likely the plan decides, what 80 and 95 % need, and where the spread comes from."""
    forecast, parts = row["forecast"], row["forecast"]["parts"]
    power, lines = forecast["power"], []
    unknown = [name for name, part in parts.items() if part["power"] is None]
    if forecast["undecidable"]:
        return [f"none, whatever the number of seeds: {forecast['undecidable']}"]
    if power is None:
        notes = dict.fromkeys(part["note"] for part in parts.values() if part["note"])
        said = f"unknown: {'; '.join(notes)}"
        return [said + _how_to_know(row) if "no spread is known" in notes else said]
    if all(part["power"] == 1.0 and part["spread"] in (None, 0.0) for part in parts.values()):
        return ["decides for sure: nothing random enters"]
    lines.append(f"{_percent(power)} with {_seeds(len(row['seeds']))}, if the claim is exactly true")
    if len(parts) > 1:
        weakest = min((name for name in parts if name not in unknown), key=lambda name: parts[name]["power"])
        lines[0] += f"; its weakest part is {weakest} with {_percent(parts[weakest]['power'])}"
    if unknown:
        lines.append(f"without {', '.join(unknown)}, of unknown power")
    wanted = [(share, forecast[key]) for share, key in (("80 %", "seeds_80"), ("95 %", "seeds_95"))]
    said = ", ".join(f"{share} needs {_seeds(seeds)}" for share, seeds in wanted if seeds is not None)
    lines.append(said or "no number of seeds is known to reach 80 %")
    spreads = {(part["spread"], part["spread_from"]) for part in parts.values() if part["spread"] is not None}
    lines += [f"spread {significant(spread, 3)} from {source}" for spread, source in sorted(spreads)][:3]
    lines += dict.fromkeys(part["note"] for part in parts.values() if part["note"])
    return lines


def _how_to_know(row: Mapping[str, Any]) -> str:
    if row["deterministic"]:
        return " before it has run, and more seeds would change nothing"
    if row["smoke"] and row["unit"] == "seed":
        return f". Run `repro run {row['claim']} scale=smoke`, or give --pilot"
    return f". It shows after a run at {row['scale']}; or give --pilot"


def _percent(power: float) -> str:
    return "over 99 %" if power > 0.99 else "under 1 %" if power < 0.01 else f"{100 * power:.0f} %"


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _looks_line(looks: Mapping[str, Any]) -> str:
    *first, last = (str(seeds) for seeds in looks["seeds"])
    line = f"{len(looks['seeds'])}, after {', '.join(first)} and {last} seeds, each at α = {looks['alpha']:.3g}; stops when decided"
    if looks["expected_seeds"] is not None:
        line += f": about {looks['expected_seeds']:.1f} seeds on average if the claim is exactly true"
    return line


def _cost_lines(row: Mapping[str, Any], prepared: Prepared) -> list[str]:
    now, price, lines = row["cost"]["now"], prepared.budget.price, []
    if not row["to_run"]:
        lines.append("none: all trials have run")
    else:
        flops = f"{significant(now['flops'], 2)} FLOPs, " if now["flops"] is not None else ""
        if now["seconds"] is None:
            lines.append(f"{flops}{now['seconds_from']}")
            if now["flops"] is not None and now["device"] == "cuda":
                lines.append("to assume a speed: --peak-flops and --utilisation")
        else:
            speed = f", {significant(now['flops_per_s'], 2)} FLOP/s" if now["flops_per_s"] else ""
            lines.append(f"{flops}about {_time(now, price)}")
            lines.append(f"{now['seconds_from']}{speed}")
    for share, key in (("80 %", "for_80"), ("95 %", "for_95")):
        cost = row["cost"][key]
        if cost is not None and cost["seconds"] is not None:
            lines.append(f"{share} power in all: {_time(cost, price)}")
    return lines


def _time(cost: Mapping[str, Any], price: float | None) -> str:
    if cost["device"] != "cuda":
        return f"{duration(cost['seconds'])} of CPU time, no GPU-hours"
    money = f", {cost['money']:,.2f} at {price:g} a GPU-hour" if cost["money"] is not None else ""
    return f"{duration(cost['seconds'])} one after the other, {significant(cost['gpu_hours'], 2)} GPU-hours{money}"
