"""The turn to write to the ledger that this server lends to launchers, one at a time (`repro.ledger.turn` asks for it)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from repro.ledger.turn import LENT_S, now
from repro.schema.files import write_atomically
from repro.schema.places import home_dir

LONGEST_HOLDER = 64
PATIENCE_S = 5.0
"""Who has not asked for so long waits no more; a launcher asks every second at least."""


@dataclass(frozen=True)
class _State:
    holder: str = ""
    until: float = 0.0
    waiting: Mapping[str, float] = field(default_factory=dict)
    """Who waits, first come first, and when they last asked."""


def lend(file: Path, holder: str, release: bool, at: float) -> bool:
    """Lend the turn to a holder unless it is another's, or take it back, and say whether it is the holder's.

    Args:
        file: keeps whose it is; every worker process of the server reads the same one.
        holder: who asks.
        release: whether it is given back.
        at: seconds of a clock that all worker processes share; should it start anew, a turn from before has ended.
    """
    from filelock import FileLock

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        state = _read(file)
        waiting = {name: asked for name, asked in state.waiting.items() if at - PATIENCE_S < asked <= at}
        free = not at < state.until <= at + LENT_S
        mine = state.holder == holder and not free
        if release:
            waiting.pop(holder, None)
            granted, new = False, replace(state, until=0.0 if mine else state.until, waiting=waiting)
        elif mine or (free and next(iter(waiting), holder) == holder):
            waiting.pop(holder, None)
            granted, new = True, _State(holder, at + LENT_S, waiting)
        else:
            granted, new = False, replace(state, waiting={**waiting, holder: at})
        write_atomically(file, json.dumps(asdict(new)))
        return granted


def _read(file: Path) -> _State:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return _State(str(content["holder"]), float(content["until"]), dict(content["waiting"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _State()  # none yet, or somebody broke it: nobody has the turn


def turns(place: str) -> Any:
    """Return the blueprint that lends the turn, at `<place>/turn`; MLflow's login covers it where that is on."""
    from flask import Blueprint, Response, request

    blueprint = Blueprint("repro_turns", __name__, url_prefix=place)
    file = home_dir().absolute() / "turn.json"

    @blueprint.post("/turn")
    def turn() -> Response:
        # JSON alone is taken: no page of another site can send it without being asked first.
        content = request.get_json()
        holder = content.get("holder") if isinstance(content, dict) else None
        if not isinstance(holder, str) or not 0 < len(holder) <= LONGEST_HOLDER:
            return Response('{"error": "holder must be a short text"}', 400, content_type="application/json")
        granted = lend(file, holder, content.get("release") is True, now())
        text = json.dumps({"granted": granted, "seconds": LENT_S})
        return Response(text, 200 if granted else 409, content_type="application/json")

    return blueprint
