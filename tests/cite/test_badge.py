"""What badges say, that they say it in words, and that the drawing is whole and readable."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from repro.cite.results.badge import (
    AMBER,
    GREEN,
    GREY,
    LABEL,
    RED,
    Badge,
    claim_badge,
    endpoint,
    paper_badge,
    svg,
    text_width,
)

SVG = "{http://www.w3.org/2000/svg}"


def attempt(outcome: str = "match", kind: str = "replication", scale: str = "cpu", **changes: Any) -> Any:
    fields = {
        "execution": "completed",
        "scale": scale,
        "compute_ratio": 0.008,
        "verdict": SimpleNamespace(outcome=outcome, reason="underpowered" if outcome == "inconclusive" else None),
        "sealed": SimpleNamespace(kind=kind, indicative=False),
    }
    return SimpleNamespace(**{**fields, **changes})


@pytest.mark.parametrize(
    ("state", "made", "validity", "label", "message", "colour"),
    [
        ("match", attempt(), "current", "replication", "replicated at reduced scale", GREEN),
        ("match", attempt(scale="full", kind="recomputation"), "current", "recomputation", "recomputed", GREEN),
        ("match", attempt(compute_ratio=None), "current", "replication", "replicated at reduced scale", GREEN),
        (
            "match",
            attempt(sealed=SimpleNamespace(kind="replication", indicative=True)),
            "current",
            "replication",
            "replicated at reduced scale (indicative)",
            GREEN,
        ),
        ("mismatch", attempt("mismatch"), "current", "replication", "not replicated at this scale", RED),
        (
            "mismatch",
            attempt("mismatch", "reanalysis", "full"),
            "current",
            "reanalysis",
            "not confirmed",
            RED,
        ),
        ("inconclusive", attempt("inconclusive"), "current", "replication", "inconclusive", GREY),
        ("not_run", attempt(), "stale", "replication", "stale, was replicated at reduced scale", GREY),
        ("not_run", attempt(scale="full"), "disputed", "replication", "disputed, was replicated", GREY),
        (
            "not_run",
            attempt("mismatch"),
            "invalidated",
            "replication",
            "invalidated, was not replicated at this scale",
            GREY,
        ),
        ("not_run", attempt(), "post_hoc", "replication", "post hoc, was replicated at reduced scale", GREY),
        ("not_run", attempt(), "current", "replication", "not run", GREY),
        ("not_run", None, "current", "claim", "not run", GREY),
        ("blocked", None, "current", "claim", "blocked", GREY),
        ("blocked", attempt(), "current", "claim", "blocked", GREY),
    ],
)
def test_the_badge_of_a_claim(state: str, made: Any, validity: str, label: str, message: str, colour: str) -> None:
    badge = claim_badge(state, made, validity)
    assert (badge.label, badge.message, badge.colour) == (label, message, colour)


def test_nothing_that_does_not_hold_today_is_coloured() -> None:
    for state, outcome, validity in itertools.product(
        ("match", "mismatch", "inconclusive", "not_run"),
        ("match", "mismatch", "inconclusive"),
        ("stale", "disputed", "invalidated", "post_hoc", "tampered"),
    ):
        assert claim_badge(state, attempt(outcome), validity).colour == GREY


def test_the_title_says_the_ratio_of_compute_and_why() -> None:
    assert "0.8 % of the paper's compute" in claim_badge("match", attempt()).title
    assert "too few data to decide" in claim_badge("inconclusive", attempt("inconclusive")).title
    assert "what the seal covers has changed" in claim_badge("not_run", attempt(), "stale").title


@pytest.mark.parametrize(
    ("counts", "reduced", "message", "colour"),
    [
        ({"match": 7, "mismatch": 1, "inconclusive": 1}, 0, "7 of 9 claims match, 1 mismatch", AMBER),
        ({"match": 3}, 2, "3 of 3 claims match (2 at reduced scale)", GREEN),
        ({"match": 3}, 3, "3 of 3 claims match (all at reduced scale)", GREEN),
        ({"match": 1}, 0, "1 of 1 claim matches", GREEN),
        ({"match": 1, "not_run": 1}, 0, "1 of 2 claims match", GREEN),
        ({"mismatch": 2}, 0, "0 of 2 claims match, 2 mismatch", RED),
        ({"blocked": 1}, 0, "1 claim, blocked", GREY),
        ({"inconclusive": 2, "not_run": 1}, 0, "3 claims, none decided", GREY),
        ({}, 0, "0 claims, none decided", GREY),
    ],
)
def test_the_badge_of_a_paper(counts: dict[str, int], reduced: int, message: str, colour: str) -> None:
    badge = paper_badge(counts, reduced)
    assert (badge.message, badge.colour) == (message, colour)
    assert "2 inconclusive, 1 not run" in badge.title or counts.get("inconclusive") != 2


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [GREEN, RED, AMBER, GREY, LABEL])
def test_white_text_can_be_read_on_every_colour(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_widths_are_those_of_the_font() -> None:
    import matplotlib
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")))
    font.set_size(2048, 72)
    for code in range(32, 127):
        advance = font.load_char(code, flags=LoadFlags.NO_SCALE).horiAdvance
        assert text_width(chr(code) * 10) == round(advance * 10 * 11 / 2048, 1), chr(code)
    assert text_width("語") == 11.0


def test_the_drawing_is_one_picture_with_a_name_and_room_for_its_words() -> None:
    badge = Badge("<label> & 'more'", '7 of 9 "claims" match', GREEN, 'A <title> & "more"')
    root = ElementTree.fromstring(svg(badge))
    assert (root.get("role"), root.get("aria-label")) == ("img", badge.title)
    assert root.findtext(f"{SVG}title") == badge.title
    texts = list(root.iter(f"{SVG}text"))
    assert [text.text for text in texts] == [badge.label, badge.message]
    width = float(root.get("width", 0))
    ends = [float(text.get("x", 0)) + float(text.get("textLength", 0)) for text in texts]
    assert ends[0] < float(texts[1].get("x", 0))
    assert ends[1] == pytest.approx(width - 7, abs=0.11)
    assert not any("id" in element.attrib for element in root.iter()), "several badges may stand in one page"


def test_the_endpoint_is_what_shields_asks_for() -> None:
    answer = endpoint(claim_badge("match", attempt()))
    assert answer == {
        "schemaVersion": 1,
        "label": "replication",
        "message": "replicated at reduced scale",
        "color": GREEN,
        "labelColor": LABEL,
        "cacheSeconds": 3600,
    }
    assert json.loads(json.dumps(answer)) == answer
    assert answer["cacheSeconds"] >= 300


def test_the_command_draws_claims_and_papers(repro, write_claims, tmp_path: Path) -> None:
    write_claims()
    assert repro("run", "toy/exact")[0] == 0
    code, out, _ = repro("badge", "toy/exact")
    assert code == 0
    assert "recomputed" in ElementTree.fromstring(out).get("aria-label", "")
    code, out, _ = repro("badge", "toy", "--json")
    assert (code, json.loads(out)["message"]) == (0, "1 of 2 claims match")
    code, out, _ = repro("badge", "toy/mean", "--out", "badges/mean.svg")
    assert (code, out.strip()) == (0, "wrote badges/mean.svg: claim, not run")
    assert ElementTree.parse(tmp_path / "badges/mean.svg").getroot().tag == f"{SVG}svg"
    code, _, err = repro("badge", "toy/exactly")
    assert code == 2
    assert "Did you mean 'toy/exact'?" in err
