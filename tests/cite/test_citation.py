"""What a citation says, as a reader sees it."""

from dataclasses import replace

import pytest
from citation_examples import DIGEST, PAPER, chain, cited, hostile, make_attempt, make_claim, make_known, make_part

from repro.catalog.load import load_papers
from repro.cite.citation.authors import Name, parse_name, short_authors
from repro.cite.citation.citable import Chosen, NotCitable
from repro.cite.citation.facts import SHOWN_CONTRARY, citation_key, cite_chosen, cite_claim
from repro.cite.citation.formats import FORMATS, wording
from repro.cite.citation.plain import one_line
from repro.cite.citation.works import Work, paper_key, web_address, work_of
from repro.schema.annotation import Annotation, SourceCheck
from repro.schema.claim import Paper, Part, Rule, Target

EVIDENCE = f"evidence sha256:{DIGEST}; https://results.example.org/claim/widgets/exponent.html"


def test_a_match_at_reduced_scale_in_a_sentence() -> None:
    assert FORMATS["sentence"](cited()) == (
        "The claim of Example et al. (2023; Table 2, second row) “The best size of a widget grows with the square root of its budget” "
        "was replicated at reduced scale (0.8 % of the paper's compute): published a = 0.49, measured 0.513 (90 % interval 0.481 to "
        "0.545); counts as a match: within ± 0.12 of 0.49; n = 5 (independent unit: budget) [verdict match; published value: seen in the paper or in its authors' own artefact; "
        "replication (ACM v1.1: replicability, different team, different setup; NASEM 2019: replicability); scale gpu; repro-tracker "
        "0.1.0, commit 0123456789ab; attempt widgets/exponent@retrain@gpu-e6599928-1; " + EVIDENCE + "].\n"
    )


def test_a_mismatch_in_a_sentence() -> None:
    assert FORMATS["sentence"](cited(make_attempt(outcome="mismatch"))) == (
        "The claim of Example et al. (2023; Table 2, second row) “The best size of a widget grows with the square root of its budget” "
        "was not replicated at this scale: published a = 0.49, measured 0.720 (90 % interval 0.688 to 0.752); counts as a match: within ± 0.12 of 0.49; n = 5 (independent unit: "
        "budget) [verdict mismatch; published value: seen in the paper or in its authors' own artefact; replication (ACM v1.1: "
        "replicability, different team, different setup; NASEM 2019: replicability); scale gpu, 0.8 % of the paper's compute; "
        "repro-tracker 0.1.0, commit 0123456789ab; attempt widgets/exponent@retrain@gpu-e6599928-1; "
        + EVIDENCE
        + "].\n"
    )


def test_a_mismatch_in_bibtex() -> None:
    text = FORMATS["bibtex"](cited(make_attempt(outcome="mismatch", scale="paper", compute_ratio=1.0)))
    assert text == (
        "@misc{example2023scaling,\n"
        r"  author = {Example, Ada and {\v{Z}}{\'\i}dek, {\L}ukasz and Le Scao, Teven and van den Driessche, George},"
        + "\n"
        "  title = {{Scaling Laws of Widgets}},\n"
        "  year = {2023},\n"
        "  eprint = {2301.00001},\n"
        "  archiveprefix = {arXiv},\n"
        "  url = {https://arxiv.org/abs/2301.00001},\n"
        "}\n\n"
        "@misc{repro:widgets.exponent.retrain.paper.e8f06c19.1,\n"
        "  author = {{repro-tracker}},\n"
        "  title = {{Not replicated: Example et al. (2023), ``Scaling Laws of Widgets'', Table 2, second row}},\n"
        "  year = {2026},\n"
        "  howpublished = {repro-tracker 0.1.0, commit 0123456789abcdef0123456789abcdef01234567},\n"
        "  url = {https://results.example.org/claim/widgets/exponent.html},\n"
        "  note = {Verdict mismatch: not replicated. Claim widgets/exponent: The best size of a widget grows with the square root of its "
        r"budget. Published a = 0.49, measured 0.720 (90 \% interval 0.688 to 0.752); counts as a match: within {\ensuremath{\pm}} 0.12 of 0.49; n = 5 (independent unit: budget). Published value: "
        "seen in the paper or in its authors' own artefact. Replication (ACM v1.1: replicability, different team, different setup; "
        r"NASEM 2019: replicability); scale paper, 100 \% of the paper's compute. Sealed before it ran (seal e8f06c19); controls that "
        "failed, as they must: untuned. Obtained with repro-tracker 0.1.0, commit 0123456789abcdef0123456789abcdef01234567. Attempt "
        "widgets/exponent@retrain@paper-e8f06c19-1; " + EVIDENCE + ".},\n"
        "}\n"
    )


def test_values_not_checked_against_the_paper_in_markdown() -> None:
    parts = {"small": make_part("1.03", source="unverified"), "large": make_part("0.99", source="unverified")}
    claim = make_claim(parts)
    measured = {"small": ("match", 1.031), "large": ("mismatch", 1.2)}
    text = FORMATS["markdown"](
        cited(make_attempt(claim, "mismatch", measured, half=0.0, kind="recomputation", scale="full"), claim)
    )
    assert text == (
        "**Not confirmed by recomputation** (verdict `mismatch`). Example et al. (2023; Table 2, second row), [“Scaling Laws of "
        "Widgets”](<https://arxiv.org/abs/2301.00001>): “The best size of a widget grows with the square root of its budget.” 1 of 2 "
        "values match; mismatch: “large” (published 0.99, measured 1.2); counts as a match: within ± 0.12; no random draw enters. Published values: not yet checked "
        "against the paper. Recomputation (outside ACM's terms: no artefact is run; NASEM 2019: internal consistency); scale full, 0.8 % "
        "of the paper's compute; sealed before it ran (seal a07a7aa4); controls that failed, as they must: untuned. Obtained with "
        "repro-tracker 0.1.0, commit 0123456789ab. Attempt `widgets/exponent@retrain@full-a07a7aa4-1`; evidence "
        f"`sha256:{DIGEST}`, <https://results.example.org/claim/widgets/exponent.html>.\n"
    )


def test_a_published_value_that_somebody_checked_names_them() -> None:
    claim = make_claim({"value": make_part("0.49", source="unverified")})
    check = SourceCheck(claim.id, "value", "0.49", "A. Reader", "Table 2 on page 7", "2026-06-01")
    assert cited(claim=claim).parts[0].source == "not yet checked against the paper"
    assert cited(claim=claim, checks={"value": check}).parts[0].source == (
        "compared with the paper by A. Reader (Table 2 on page 7, 2026-06-01)"
    )
    other = replace(check, printed="0.50")
    assert cited(claim=claim, checks={"value": other}).parts[0].source == "not yet checked against the paper"


def test_a_derived_target_is_not_called_published() -> None:
    claim = make_claim({"value": make_part("0.49", source="derived"), "other": make_part("0.5")})
    text = FORMATS["sentence"](cited(make_attempt(claim), claim))
    assert "1 derived value: printed nowhere" in text
    assert "1 published value: seen in the paper" in text


def test_the_criterion_is_told_so_that_a_bound_does_not_read_as_a_value() -> None:
    bound = Part(Target("1", approximate=True, source="derived"), Rule("at_most"))
    claim = make_claim({"value": bound})
    assert wording.measured(cited(make_attempt(claim, measured={"value": ("match", 0.3995)}, half=0.0), claim)) == (
        "derived a at most about 1, measured 0.3995; counts as a match: at most about 1; no random draw enters"
    )
    order = make_claim({"value": Part(Target("0", source="verified"), Rule("ordering"))})
    assert wording.measured(cited(make_attempt(order, measured={"value": ("match", 0.012)}, half=0.003), order)) == (
        "published an order, measured 0.0120 (90 % interval 0.0090 to 0.0150); counts as a match: the ordering holds in runs paired by "
        "seed; n = 5 (independent unit: budget)"
    )


def test_of_several_values_those_that_do_not_match_are_named_and_the_rest_counted() -> None:
    names = ("a_1", "b", "c", "d", "e", "f", "g")
    rules = (Rule("rounds_to"), Rule("exact"))
    claim = make_claim({name: Part(Target("1.0"), rules[i % 2]) for i, name in enumerate(names)})
    outcomes = dict(zip(names, ("mismatch",) * 4 + ("inconclusive", "match", "match"), strict=True))
    attempt = make_attempt(claim, "mismatch", {name: (outcome, 1.5) for name, outcome in outcomes.items()}, half=0.0)
    assert wording.measured(cited(attempt, claim)) == (
        "2 of 7 values match; mismatch: “a 1” (published 1.0, measured 1.5), “b” (published 1.0, measured 1.5), “c” (published 1.0, "
        "measured 1.5), 1 more; undecided: “e” (published 1.0, measured 1.5); counts as a match: rounds to it or equal to it; no random "
        "draw enters"
    )


def test_a_deterministic_program_on_drawn_data_still_has_a_sample() -> None:
    claim = make_claim({"left": make_part(), "right": make_part()})
    attempt = make_attempt(claim, deterministic=True)
    assert cited(attempt, claim).sample == "n = 5 (independent unit: budget)"
    exact = replace(attempt.verdict.parts["left"].estimate, deterministic=True)
    parts = {**attempt.verdict.parts, "left": replace(attempt.verdict.parts["left"], estimate=exact)}
    mixed = replace(attempt, verdict=replace(attempt.verdict, parts=parts))
    assert cited(mixed, claim).sample == "n = 5 for 1 of 2 values (independent unit: budget)"


def test_what_was_added_and_what_came_out_otherwise_is_in_every_format() -> None:
    attempt = make_attempt(indicative=True)
    notes = chain(
        Annotation(attempt.id, "author_reply", "A. Author", "2026-06-01T10:00:00+00:00", "We agree."),
        Annotation(attempt.id, "confirmed", "B. Li", "2026-07-01", "Ran it elsewhere."),
    )
    others = [(make_attempt(outcome="mismatch", counter=n), "stale" if n == 2 else "current") for n in (2, 3, 4, 5)]
    citation = cited(attempt, annotations=notes, contrary=others)
    assert citation.annotations == (
        "Reply of an author (A. Author, 2026-06-01): We agree.",
        "Confirmed (B. Li, 2026-07-01): Ran it elsewhere.",
    )
    assert len(citation.contrary) == SHOWN_CONTRARY + 1
    assert citation.contrary[0] == f"{others[0][0].id}: mismatch, not replicated at this scale (stale)"
    assert citation.contrary[-1] == "and 1 more"
    for name, write in FORMATS.items():
        text = " ".join(write(citation).replace("\\", "").split())
        for said in (
            "We agree.", "Ran it elsewhere.", "come out otherwise", others[0][0].id, "(stale)", "and 1 more", "(indicative)",
            "Indicative: it was sealed although its plan could hardly decide, so take it as a hint.",
        ):  # fmt: skip
            assert said in text, (name, said)


def test_a_settled_dispute_is_still_told() -> None:
    attempt = make_attempt()
    dispute = Annotation(attempt.id, "disputed", "B. Li", "2026-06-01", "The clock was wrong.")
    (first,) = chain(dispute)
    notes = chain(
        dispute, Annotation(attempt.id, "confirmed", "C. Wu", "2026-06-02", "It was right.", settles=first.digest)
    )
    assert cited(attempt, annotations=notes).annotations == (
        "Disputed, settled since (B. Li, 2026-06-01): The clock was wrong.",
        "Confirmed (C. Wu, 2026-06-02): It was right.",
    )


@pytest.mark.parametrize(
    ("origin", "by", "whose"),
    [
        (None, "", "repro-tracker"),
        (None, "Ada Lovelace", "Ada Lovelace"),
        ({"signed_by": "Their Group", "evidence": DIGEST}, "Ada Lovelace", "Their Group"),
        ({"signed_by": None, "evidence": DIGEST}, "", "Others (unsigned evidence)"),
    ],
)
def test_the_citation_says_whose_result_it_is(origin: dict | None, by: str, whose: str) -> None:
    attempt = make_attempt()
    if origin:
        attempt = replace(attempt, provenance={**attempt.provenance, "origin": origin})
    assert cited(attempt, by=by).by == whose


@pytest.mark.parametrize(
    ("changed", "scale", "verdict"),
    [
        ({}, "scale gpu, 0.8 % of the paper's compute", "replicated at reduced scale (0.8 % of the paper's compute)"),
        (
            {"compute_ratio": None},
            "scale gpu, ratio to the paper's compute unknown",
            "replicated at reduced scale (ratio to the paper's compute unknown)",
        ),
        ({"scale": "full", "compute_ratio": None}, "scale full (it needs no compute to speak of)", "replicated"),
        ({"scale": "paper", "compute_ratio": 1.02}, "scale paper, 102 % of the paper's compute", "replicated"),
    ],
)
def test_the_scale_is_told_with_its_ratio_of_compute(changed: dict, scale: str, verdict: str) -> None:
    citation = cited(make_attempt(**changed))
    assert (citation.compute, citation.verdict) == (scale, verdict)


def test_the_claim_is_cited_by_what_was_chosen() -> None:
    good, other = make_attempt(counter=1), make_attempt(outcome="mismatch", scale="paper", counter=2)
    known = make_known(good, other)
    assert cite_claim(known).attempt == other.id
    assert cite_claim(known, scale="gpu", by="Ada").by == "Ada"
    assert cite_claim(known, attempt=good.id).contrary == (f"{other.id}: mismatch, not replicated",)
    assert cite_chosen(known, Chosen(good, ())).contrary == ()
    with pytest.raises(NotCitable):
        cite_claim(replace(known, evidence={}))


def test_an_attempt_without_a_verdict_cannot_be_cited() -> None:
    with pytest.raises(ValueError, match="was not judged"):
        cited(make_attempt(execution="failed", verdict=None))


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no sha256 digest"):
        cited(evidence_digest="sha256:abc")


def test_keys_keep_what_tells_attempts_apart() -> None:
    assert citation_key("a_b/c.d-e@p_q@cpu-1a2b3c4d-12") == "repro:a_b.c.d.e.p_q.cpu.1a2b3c4d.12"
    assert citation_key("a/b@c@cpu-1a2b3c4d-1~99887766") == "repro:a.b.c.cpu.1a2b3c4d.1.99887766"


def test_texts_from_elsewhere_stay_on_one_line_without_control_characters() -> None:
    assert one_line("a\n\tb\x00c\x1b[31m \u202ed\u200be\ud800") == "a b c [31m d e"
    for name, write in FORMATS.items():
        text = write(hostile())
        assert not set("\x00\x1b\r\u202e") & set(text), name
    assert FORMATS["sentence"](hostile()).count("\n") == 1
    assert FORMATS["markdown"](hostile()).count("\n") == 1


# Authors and works.


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ada Lovelace", Name("Lovelace", "Ada")),
        ("Simon A. A. Kohl", Name("Kohl", "Simon A. A.")),
        ("George van den Driessche", Name("Driessche", "George", "van den")),
        ("Diego de Las Casas", Name("Las Casas", "Diego", "de")),
        ("Henrique Ponde de Oliveira Pinto", Name("Oliveira Pinto", "Henrique Ponde", "de")),
        ("Teven Le Scao", Name("Le Scao", "Teven")),
        ("Quoc V. Le", Name("Le", "Quoc V.")),
        ("Bernardino Romera-Paredes", Name("Romera-Paredes", "Bernardino")),
        ("MLCommons", Name("MLCommons")),
        ("Epoch AI", Name("Epoch AI")),
        ("contributors of the records", Name("contributors of the records")),
        ("The Widget Collaboration", Name("The Widget Collaboration")),
        ("", Name("")),
    ],
)
def test_names_are_taken_apart(name: str, parts: Name) -> None:
    assert parse_name(name) == parts


def test_no_authors_are_anonymous() -> None:
    assert short_authors(()) == "Anonymous"


@pytest.mark.parametrize(
    ("venue", "arxiv", "work"),
    [
        ("Nature 596, 583–589", None, Work("journal", "Nature", "596", "583–589")),
        ("arXiv", "1", Work("preprint")),
        ("", "1", Work("preprint")),
        ("arXiv; NAACL-HLT 2019", "1", Work("preprint", also="NAACL-HLT 2019")),
        ("ICLR 2025", "1", Work("preprint", also="ICLR 2025")),
        ("ICLR 2024", "1", Work("conference", "ICLR 2024")),
        ("NeurIPS", "1", Work("conference", "NeurIPS")),
        ("Advances in Neural Information Processing Systems 30", "1", Work("conference", "Advances in Neural Information Processing Systems 30")),
        ("Transactions on Machine Learning Research", "1", Work("journal", "Transactions on Machine Learning Research")),
        ("OpenAI technical report", None, Work("report", "OpenAI")),
        ("IEEE Spectrum", None, Work("magazine", "IEEE Spectrum")),
        ("GitHub", None, Work("other", "GitHub")),
        ("", None, Work("other")),
    ],
)  # fmt: skip
def test_the_sort_of_work_is_read_off_the_venue(venue: str, arxiv: str | None, work: Work) -> None:
    assert work_of(Paper("p", "T", ("A B",), 2024, venue, arxiv)) == work


def test_every_paper_of_the_catalogue_has_a_key_of_its_own() -> None:
    keys = [paper_key(paper) for paper in load_papers().values()]
    assert len(keys) > 20
    assert len(set(keys)) == len(keys)
    assert all(key.isascii() and key.isalnum() for key in keys)


def test_only_web_addresses_are_linked() -> None:
    assert web_address(replace(PAPER, url="javascript:alert(1)", arxiv=None)) == ""
    assert web_address(replace(PAPER, url="javascript:alert(1)")) == "https://arxiv.org/abs/2301.00001"
    assert web_address(replace(PAPER, url="https://example.org/a")) == "https://example.org/a"
