"""What checking evidence found, as people read it in a terminal."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from repro.cite.verification.findings import GROUPS, WORD, Finding, Report

SIGNS = {"holds": ("✓", "green"), "fails": ("✗", "bold red"), "unknown": ("?", "yellow"), "stated": ("·", "dim")}
WORDS = {"holds": "holds", "fails": "does not hold", "unknown": "not checked", "stated": "stated"}
"""Said instead of the signs' colour to those who see none."""


def print_report(place: Path, report: Report) -> None:
    """Print all findings by group, then the conclusion with what it comes from."""
    console = Console(highlight=False)
    heading = Text(report.attempt or str(place), style="bold", overflow="fold")
    console.print(heading)
    if report.claims:
        console.print(Text(f"It claims: {report.claims}"))
    if report.digest:
        console.print(Text(f"sha256:{report.digest}", style="dim", overflow="fold"))
    for group, findings in groupby(report.findings, key=lambda finding: finding.group):
        console.print()
        console.print(Text(group if group in GROUPS else "It", style="bold"))
        console.print(_listed(findings))
    console.print()
    console.print(Text(report.conclusion, style="bold green" if report.ok else "bold red"))
    wrong = [finding for finding in report.findings if finding.status in ("fails", "unknown")]
    if wrong and len(report.findings) > len(wrong):  # else it stands just above
        console.print(_listed(wrong))


def _listed(findings: Iterable[Finding]) -> RenderableType:
    table = Table(Column(no_wrap=True), Column(overflow="fold"), box=None, show_header=False, padding=(0, 1, 0, 0))
    for finding in findings:
        sign, style = SIGNS[finding.status]
        told = Text(finding.sentence, style="dim" if finding.status == "stated" and finding.group == WORD else "")
        if finding.status in ("fails", "unknown"):
            told = Text.assemble((f"{WORDS[finding.status]}: ", style), told)
        table.add_row(Text(sign, style=style), told)
    return Padding(table, (0, 0, 0, 1))


def line(place: Path, report: Report) -> RenderableType:
    """Return one bundle as one line, with what is wrong below it."""
    status = {0: "holds", 1: "fails"}.get(report.exit_code, "unknown")
    sign, style = SIGNS[status]
    table = Table(Column(no_wrap=True), Column(overflow="fold"), box=None, show_header=False, padding=(0, 1, 0, 0))
    named = Text(report.attempt or str(place))
    named.append(f"  {report.claims.partition(':')[0]}" if report.claims else "", style="dim")
    table.add_row(Text(sign, style=style), named)
    for finding in report.findings:
        if finding.status in ("fails", "unknown"):
            table.add_row("", Text(finding.sentence, style=SIGNS[finding.status][1]))
    return table


def summary(checked: Sequence[tuple[Path, Report]], seconds: float) -> Text:
    """Return how many hold, and what that means."""
    counts = [sum(report.exit_code == code for _, report in checked) for code in (0, 1, 2)]
    told = f"{len(checked)} bundle{'s' * (len(checked) != 1)} in {seconds:.0f} s: {counts[0]} hold"
    told += f", {counts[1]} {'does' if counts[1] == 1 else 'do'} not" if counts[1] else ""
    told += f", {counts[2]} could not be checked" if counts[2] else ""
    conclusions = {report.conclusion for _, report in checked}
    shared = f" Each: {conclusions.pop()}" if len(conclusions) == 1 and counts[0] == len(checked) > 0 else ""
    return Text(f"{told}.{shared}", style="bold green" if counts[0] == len(checked) else "bold red")
