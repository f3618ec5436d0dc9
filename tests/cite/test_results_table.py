"""Tables of published results: what stands in a row, honest labels, and text that Markdown cannot take for more than text."""

from dataclasses import replace
from typing import Any

import pytest

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.content import read_dossier
from repro.cite.results.publish import place_of
from repro.cite.results.table import (
    END,
    START,
    Row,
    attempts_table,
    largest,
    link,
    measured,
    papers_table,
    reads,
    units,
    with_table,
)
from repro.schema.annotation import Annotation
from repro.schema.claim import Blocked, Claim, Paper
from repro.schema.published import PublishedResult
from repro.schema.verdict import Attempt


@pytest.fixture
def attempt(toy_bundle: Bundle) -> Attempt:
    return read_dossier(toy_bundle).attempt


@pytest.fixture
def exact(exact_bundle: Bundle) -> Attempt:
    return read_dossier(exact_bundle).attempt


@pytest.fixture
def claim(toy_bundle: Bundle) -> Claim:
    return read_dossier(toy_bundle).claim


def row(of: Attempt, *entries: str, **changes: Any) -> Row:
    """An attempt as it would be published, with these changes and these kinds of entries."""
    kinds = {name: changes.pop(name) for name in ("outcome", "reason") if name in changes}
    made = replace(of, **changes)
    assert made.verdict is not None
    made = replace(made, verdict=replace(made.verdict, **kinds))
    assert made.verdict is not None
    chain: tuple[Annotation, ...] = ()
    for kind in entries:
        entry = Annotation(made.id, kind, "A. Reader", "2026-01-01T00:00:00+00:00", "why")  # type: ignore[arg-type]
        chain = (*chain, replace(entry, previous=chain[-1].digest if chain else "").with_digest())
    result = PublishedResult(
        made.id, made.claim, "toy", made.protocol, made.sealed.kind, made.scale, made.verdict.outcome, made.verdict.reason,
        made.validity, made.exploratory, False, made.started, made.compute_ratio, None, "ab" * 32, place_of(made),
    )  # fmt: skip
    return Row(result, made, chain)


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\N{NO-BREAK SPACE}", " ") for cell in line.strip("|").split(" | ")]


def test_a_row_says_what_was_measured_how_it_reads_and_at_which_scale(attempt: Attempt, exact: Attempt) -> None:
    head, rule, of_exact, of_mean = attempts_table([row(attempt, compute_ratio=0.008), row(exact)]).splitlines()
    assert cells(head) == ["claim, protocol", "measured", "reads as", "scale", "n", "evidence"]
    assert set(rule) <= set("|- ")
    assert cells(of_exact) == [
        f"[toy/exact]({place_of(exact)}), recompute", "4 against 4", "match: recomputed", "full", "exact", "`abababababab`",
    ]  # fmt: skip
    found = cells(of_mean)
    assert found[0] == f"[toy/mean]({place_of(attempt)}), {attempt.protocol}"
    assert found[1].endswith(") against 1.0")
    assert " to " in found[1]
    assert found[2:5] == [
        "match: replicated at reduced scale (0.8 % of the paper's compute)",
        "reduced scale: CPU, 0.8 % of the paper's compute",
        "6",
    ]


def test_parts_orders_and_missing_estimates(attempt: Attempt) -> None:
    assert attempt.verdict is not None
    part = attempt.verdict.parts["value"]
    assert part.estimate.value is not None
    two = replace(attempt.verdict, parts={"a": part, "b": replace(part, outcome="mismatch")})
    assert measured(replace(attempt, verdict=two)) == "1 of 2 parts match"
    none = replace(part, estimate=replace(part.estimate, value=None, n=4), low=None, high=None)
    assert measured(replace(attempt, verdict=replace(two, parts={"value": none}))) == "no estimate against 1.0"
    assert units(replace(attempt, verdict=replace(two, parts={"a": part, "b": none}))) == "4 to 6"
    sealed = attempt.sealed.parts["value"]
    order = replace(sealed, rule=replace(sealed.rule, kind="ordering"), target=replace(sealed.target, printed="0"))
    ordered = replace(attempt, sealed=replace(attempt.sealed, parts={"value": order}))
    assert measured(ordered).endswith("; an order was claimed")


@pytest.mark.parametrize(
    ("entries", "changes", "ending"),
    [
        ((), {}, ")"),
        (("disputed",), {}, "; disputed: someone contests it"),
        (("invalidated",), {}, "; invalidated: withdrawn"),
        (("confirmed", "author_reply"), {}, ")"),
        ((), {"validity": "post_hoc"}, "; post hoc: sealed after its records were made; not citable"),
        ((), {"outcome": "inconclusive", "reason": "underpowered"}, "inconclusive: too few data to decide"),
        ((), {"outcome": "mismatch"}, "mismatch: not replicated at this scale"),
    ],
)
def test_how_a_row_reads(attempt: Attempt, entries: tuple[str, ...], changes: dict[str, Any], ending: str) -> None:
    assert reads(row(attempt, *entries, **changes)).endswith(ending)


def test_of_a_protocol_its_largest_scale_counts_and_there_the_latest(attempt: Attempt) -> None:
    small, large = row(attempt), row(attempt, scale="gpu", outcome="mismatch", started="2020-01-01T00:00:00+00:00")
    later = row(attempt, scale="gpu", started="2021-01-01T00:00:00+00:00")
    assert largest([small, large]) == [large]
    assert largest([later, small, large]) == [later]
    assert largest([small, row(attempt, "invalidated", scale="gpu")]) == [small]
    assert largest([row(attempt, validity="post_hoc"), row(attempt, "disputed", scale="gpu")]) == []


def test_a_paper_counts_its_attempts_by_kind_and_scale(attempt: Attempt, exact: Attempt, claim: Claim) -> None:
    stuck = replace(claim, id="toy/stuck", protocols={}, blocked=Blocked("a machine", "2024-01-01", "the machine"))
    idle, other = replace(claim, id="toy/idle"), replace(claim, id="toy/exact")
    alone = replace(claim, id="b/alone", paper="b")
    rows = [
        row(attempt),
        row(attempt, scale="full", protocol="a"),
        row(attempt, scale="full", protocol="b"),
        row(exact, outcome="mismatch"),
        row(exact, protocol="c", outcome="inconclusive", reason="too_few"),
    ]
    papers = {"toy": Paper("toy", 'Toys | <b>"[x]"</b>', ("Ada Lovelace", "Bo Li", "C. Day"), 1843)}
    table = papers_table(
        [claim, stuck, idle, other, alone], papers, rows, {"toy": "docs/a b.md"}, "docs/results/README.md"
    )
    head, _, first, second, last, *_ = table.splitlines()
    assert cells(head) == ["paper", "claims", "match", "mismatch", "inconclusive", "blocked or open"]
    assert cells(first) == ["b", "1", "", "", "", "1 open"]
    assert cells(second) == [
        '[Lovelace et al. 1843](docs/a%20b.md "Toys \\| \\<b\\>&quot;\\[x\\]&quot;\\</b\\>"), toy',
        "4",
        "2 replications, 1 replication at reduced scale (cpu)",
        "1 recomputation",
        "1 recomputation",
        "1 blocked, 1 open",
    ]
    assert cells(last) == [
        "**[all attempts](docs/results/README.md)**", "5", "3", "1", "1", "1 blocked, 2 open",
    ]  # fmt: skip
    assert "at the largest scale it was published at" in table


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = f"above\n{START}\nold\n{END}\nbelow\n"
    once = with_table(page, "| new |\n")
    assert once == f"above\n{START}\n\n| new |\n\n{END}\nbelow\n"
    assert with_table(once, "| new |\n") == once
    assert with_table("no markers", "x") is None
    assert with_table(START, "x") is None


def test_a_link_leads_only_where_it_says() -> None:
    assert link("a b/c@d~e-1)(") == "a%20b/c@d~e-1%29%28"
