"""`repro watch`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_claims

if TYPE_CHECKING:
    from repro.cli.watch_view import Frame
    from repro.launch.planning.outlines import Outline
    from repro.ledger.fast import LatestVerdict

LOOK_EVERY_S = 1.0
SETTLED_S = 5.0
"""For how long nothing must run before failed trials count as given up: a launch tries them again after the others."""
LEDGER_EVERY_S = 10.0
"""How often the ledger is asked whether what stands still was judged."""


def watch(
    pattern: Annotated[
        str, typer.Argument(help="A glob over claim names, in quotes.", autocompletion=complete_claims)
    ] = "*",
    once: Annotated[bool, typer.Option("--once", help="Show how things stand, once.")] = False,
    records: Annotated[
        Path | None, typer.Option("--records", help="Watch a worker's directory of records instead; with --plan.")
    ] = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="The plan file that the worker runs.")] = None,
    price: Annotated[
        float | None,
        typer.Option("--price", help="Of one GPU-hour, for the cost.", envvar="REPRO_GPU_PRICE", metavar="P"),
    ] = None,
) -> None:
    """Watch trials run, live.

    Reads what workers leave in the record directory, so it can start and stop at any time, beside any number of launches and
    also on a directory that several machines share. It ends when all that ran is done, with 3 if trials failed; Ctrl-C ends it
    earlier and disturbs nothing. In a pipe it prints a line whenever something has changed.

    \b
    Examples:
      repro watch
      repro watch 'attention/*' --price 3
      repro watch --once
      repro watch --records records/ --plan plan.json
    """
    from repro.schema.errors import PlanError

    if (records is None) != (plan is None):
        raise PlanError("--records and --plan go together: the plan file says which trials the directory is to hold.")
    vigil = _Vigil(pattern, records, plan, price)
    frame = vigil.look()
    if not frame.found:
        which = "Nothing" if pattern == "*" else f"No attempt of {pattern}"
        print(f"{which} was launched from this directory yet. Start with: repro demo")
        return
    try:
        _show(vigil, frame, once)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if vigil.last is not None and vigil.last.whole.failed:
        raise typer.Exit(3)


@dataclass
class _Vigil:
    """Looks again and again until what was seen running is done."""

    pattern: str
    records: Path | None
    plan: Path | None
    price: float | None
    last: "Frame | None" = None
    took: float = 0.0
    """Seconds that the last look took."""
    _outlines: "dict[str, Outline]" = field(default_factory=dict)
    _plans: object = None
    _verdicts: "Mapping[str, LatestVerdict]" = field(default_factory=dict)
    _asked: float = float("-inf")
    _ran: set[str] = field(default_factory=set)
    """Attempts that were seen running."""
    _still_since: float | None = None

    def __post_init__(self) -> None:
        from repro.launch.records.glimpses import Watcher
        from repro.schema.places import records_dir

        self._watcher = Watcher(self.records or records_dir())

    def look(self) -> "Frame":
        """Return how things stand now."""
        from repro.cli.watch_view import Frame
        from repro.launch.course.survey import survey

        began = time.monotonic()
        self._read_plans()
        outlines = list(self._outlines.values())
        look = self._watcher.look(time.time())
        still = not (set(look.running) & {key for outline in outlines for key in outline.trials})
        if self.records is None and (not self._verdicts or still) and time.monotonic() - self._asked > LEDGER_EVERY_S:
            from repro.ledger.fast import verdicts_by_attempt

            self._verdicts, self._asked = verdicts_by_attempt(), time.monotonic()
        found, whole = survey(outlines, look, {name: each.execution for name, each in self._verdicts.items()})
        self._ran |= {course.outline.attempt for course in found if course.tally.running}
        self._still_since = None if not still else self._still_since or time.monotonic()
        self.last = Frame(look, found, whole, self._verdicts, self.price)
        self.took = time.monotonic() - began
        return self.last

    def _read_plans(self) -> None:
        """Read the plans, anew only when one was added."""
        from repro.launch.planning.outlines import outlines, outlines_here
        from repro.schema.places import home_dir

        if self.plan is not None:
            self._outlines = self._outlines or {each.attempt: each for each in outlines(self.plan)}
            return
        place = home_dir() / "plans"
        stamp = place.stat().st_mtime_ns if place.is_dir() else None
        if stamp != self._plans:
            self._outlines, unreadable = outlines_here(self.pattern)
            self._plans = stamp
            if unreadable and not self._outlines:
                raise unreadable[0]

    def over(self) -> bool:
        """Say whether nothing more is to be expected of what was seen running, or of anything."""
        assert self.last is not None
        watched = [each for each in self.last.found if each.outline.attempt in self._ran] or self.last.found
        if any(each.tally.running or each.tally.waiting for each in watched):
            return False
        settled = self._still_since is not None and time.monotonic() - self._still_since >= SETTLED_S
        return settled or not any(each.tally.failed for each in watched)


def _pause(took: float) -> None:
    """Wait for the next look: with very many records at least as long as the last one took, so that trials keep the machine."""
    time.sleep(max(LOOK_EVERY_S, took))


def _show(vigil: _Vigil, frame: "Frame", once: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from repro.cli.watch_view import frame_text, pipe_lines

    console = Console()

    def drawn(frame: "Frame") -> Text:
        return frame_text(frame, console.width, console.height, ascii_only=console.options.ascii_only)

    if once:
        console.print(frame_text(frame, console.width, 10**6, ascii_only=console.options.ascii_only))
    elif console.is_terminal and not console.is_dumb_terminal:
        with Live(drawn(frame), console=console, auto_refresh=False) as live:
            while not vigil.over():
                _pause(vigil.took)
                live.update(drawn(vigil.look()), refresh=True)
    else:
        before = None
        while True:
            for line in pipe_lines(frame, before):
                print(line, flush=True)
            if vigil.over():
                break
            _pause(vigil.took)
            before, frame = frame, vigil.look()
