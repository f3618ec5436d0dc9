"""What is published, annotated, stale, checked, signed and citable, as the pages show it."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from evidence_book import (
    CHANGED,
    DISPUTED,
    MISS,
    OPEN,
    OURS,
    SETTLED,
    TAMPERED_CHAIN,
    THEIRS,
    UNPROVEN,
    annotated,
    bundle_of,
    evidence_book,
    hostile_evidence_book,
    imported,
    published,
)
from page_reader import Page
from review_book import EXPONENT, FACTOR, ORDERING, RATIOS

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.cite.signing import attest
from repro.cite.signing.keys import SignatureError
from repro.review import book as q
from repro.review.addresses import attempt_address
from repro.review.book import Book
from repro.review.facts import citing
from repro.review.facts.combined import independent
from repro.review.facts.evidence import evidence_of
from repro.review.facts.side_by_side import side_by_side
from repro.review.pages import attempt_page, claim_page, overview_page
from repro.review.site import site, write_site


def words(book: Book, claim_id: str) -> str:
    return Page(claim_page(book, claim_id)).words


def all_pages(book: Book) -> list[str]:
    return [
        overview_page(book),
        *(claim_page(book, name) for name in book.claims),
        *(attempt_page(book, attempt.id) for attempt in book.attempts),
    ]


# Published


def test_a_fresh_clone_shows_published_results_on_the_overview_and_on_every_claim() -> None:
    book = evidence_book(
        attempts=(OURS, MISS), annotations={}, stale={}, published={a.id: published(a) for a in (OURS, MISS)}
    )
    overview = Page(overview_page(book)).words
    assert "✓ 1 match ✗ 1 mismatch" in overview
    assert "2 results can be cited, marked citable ; the evidence of 2 attempts is published here" in overview
    assert overview.count("evidence published") == 2
    for claim, tried in ((EXPONENT, OURS), (FACTOR, MISS)):
        assert f'<a class="mark" href="claim/{claim.id}.html#cite">citable</a>' in overview_page(book)
        assert '<a class="mark" href="#cite">citable</a>' in claim_page(book, claim.id)
        shown = words(book, claim.id)
        assert f"sha256:{bundle_of(tried).digest}" in shown
        assert "evidence published" in shown


def test_the_digest_the_zip_and_the_command_agree(tmp_path: Path) -> None:
    book = evidence_book()
    write_site(book, tmp_path)
    file = tmp_path / attempt_address(OURS.id, ".evidence.zip")
    digest = bundle_of(OURS).digest
    assert Bundle({n: zipfile.ZipFile(file).read(n) for n in zipfile.ZipFile(file).namelist()}).digest == digest
    shown = words(book, EXPONENT.id)
    assert f"repro verify exponent@retrain@gpu-{OURS.id.split('-', 1)[1]}.evidence.zip --digest {digest}" in shown
    assert "3 files" in shown
    links = [a for a in Page(claim_page(book, EXPONENT.id)).all("a") if "download" in a]
    assert {a["download"] for a in links if a["download"]} == {f"{OURS.id.split('/')[1]}.evidence.zip"}


def test_an_attempt_that_is_not_published_says_how_to_publish_it() -> None:
    shown = Page(attempt_page(evidence_book(), CHANGED.id)).words
    assert f"repro evidence {CHANGED.id}" in shown
    assert f"repro publish {CHANGED.id}" in shown


def test_published_files_that_changed_are_named_and_hide_nothing_else(tmp_path: Path) -> None:
    edited = Bundle({**bundle_of(OURS).files, "README.md": b"edited"})
    book = evidence_book(evidence=lambda name: edited if name == OURS.id else bundle_of(MISS))
    shown = words(book, EXPONENT.id)
    assert f"make the digest {edited.digest}, not the one that was published" in shown
    assert "evidence.zip" not in shown
    written = {path.relative_to(tmp_path).as_posix() for path in write_site(book, tmp_path)}
    assert attempt_address(OURS.id, ".evidence.zip") not in written
    assert attempt_address(MISS.id, ".evidence.zip") in written


def test_a_missing_directory_stops_no_page(tmp_path: Path) -> None:
    def gone(attempt_id: str) -> Bundle:
        raise EvidenceError(f"There is no bundle of {attempt_id}.")

    book = evidence_book(evidence=gone)
    assert "The published files cannot be read: There is no bundle of" in words(book, EXPONENT.id)
    assert tmp_path / "index.html" in write_site(book, tmp_path)


def test_what_is_damaged_does_not_count_and_is_named_everywhere() -> None:
    book = evidence_book(
        attempts=(OURS,),
        distrusted=frozenset({OURS.id}),
        problems={OURS.id: ("The files make another digest.",), "widgets/speed@x": ("Gone.",)},
    )
    assert not q.stands(book, OURS)
    assert q.state_of(book, EXPONENT) == "not_run"
    (each,) = citing.citing(book, EXPONENT)
    assert each.missing[0].startswith("What is stored of it is damaged")
    for page in (claim_page(book, EXPONENT.id), attempt_page(book, OURS.id)):
        assert "damaged The files make another digest." in Page(page).words
    overview = Page(overview_page(book)).words
    assert "What could not be read" in overview
    assert f"{OURS.id} The files make another digest." in overview
    assert "widgets/speed@x Gone." in overview
    assert "damaged Gone." in words(book, FACTOR.id)


# Signatures


def test_a_signature_says_who_and_that_it_proves_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = attest.Signature("Ada Example", "2024-06-01T10:00:00Z", "k" * 64, False, True, (), {})
    monkeypatch.setattr(attest, "check", lambda envelope, bundle, key=None: signed)
    shown = words(evidence_book(envelope=lambda name: b"{}"), EXPONENT.id)
    assert "in the name of Ada Example on 2024-06-01" in shown
    assert "proves who signed, not that the verdict is true" in shown
    unchecked = replace(signed, holds=False)
    monkeypatch.setattr(attest, "check", lambda envelope, bundle, key=None: unchecked)
    assert "unproven A signature lies beside it in the name of Ada Example" in words(
        evidence_book(envelope=lambda name: b"{}"), EXPONENT.id
    )


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 5000, b'{"payload": 1}'])
def test_a_broken_envelope_is_named_and_stops_no_page(text: bytes, tmp_path: Path) -> None:
    book = evidence_book(envelope=lambda name: text)
    assert "unproven A signature lies beside it that means nothing." in words(book, EXPONENT.id)
    assert tmp_path / "index.html" in write_site(book, tmp_path)


def test_an_envelope_that_cannot_be_read_is_named() -> None:
    def refuse(name: str) -> bytes:
        raise SignatureError("It cannot be read.")

    assert "unproven A signature lies beside it that means nothing. It cannot be read." in words(
        evidence_book(envelope=refuse), EXPONENT.id
    )


# Citing


def test_the_citation_box_has_every_format_and_a_file_of_each(tmp_path: Path) -> None:
    book = evidence_book(attempts=(OURS,))
    write_site(book, tmp_path)
    (each,) = citing.citing(book, EXPONENT)
    assert each.attempt == OURS
    page = Page(claim_page(book, EXPONENT.id))
    assert [form.name for form in each.forms] == ["sentence", "bibtex", "markdown", "cff", "csl", "ris"]
    for form in each.forms:
        assert form.label in page.text
        assert form.text in page.text
        file = tmp_path / attempt_address(OURS.id, form.suffix)
        assert file.read_text() == form.text
        assert bundle_of(OURS).digest in form.text
    assert json.loads((tmp_path / attempt_address(OURS.id, ".csl.json")).read_text())


def test_a_mismatch_is_as_citable_as_a_match() -> None:
    shown = words(evidence_book(), FACTOR.id)
    assert "a mismatch is as citable as a match" in shown
    assert "BibTeX" in shown


def test_where_nothing_is_citable_stands_exactly_what_is_missing() -> None:
    shown = words(evidence_book(), ORDERING.id)
    assert "This attempt cannot be cited yet. What is missing:" in shown
    assert "The seeds were 0 to 2, now 0 to 4." in shown
    assert f"Publish it: repro publish {CHANGED.id}" in shown
    assert "BibTeX" not in shown


def test_the_nearest_of_several_attempts_is_named_with_what_it_lacks() -> None:
    worse = replace(CHANGED, id=f"{CHANGED.id}9", counter=19, provenance={})
    book = evidence_book(attempts=(CHANGED, worse), stale={CHANGED.id: ("x",), worse.id: ("x",)})
    (each,) = citing.citing(book, ORDERING)
    assert each.attempt == CHANGED
    assert "No attempt at this claim can be cited yet. Nearest to it comes paired at cpu, number 1." in words(
        book, ORDERING.id
    )


def test_a_claim_that_was_never_run_has_no_citation_box() -> None:
    book = evidence_book(attempts=())
    assert citing.citing(book, EXPONENT) == ()
    page = Page(claim_page(book, EXPONENT.id))
    assert "Cite it" not in page.words


def test_badges_are_embedded_under_the_address_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    book = evidence_book()
    assert "[![widgets/exponent](ADDRESS/badge/widgets/exponent.svg)](ADDRESS/claim/widgets/exponent.html)" in words(
        book, EXPONENT.id
    )
    monkeypatch.setenv("REPRO_SITE", "https://example.org/claims/")
    shown = words(book, EXPONENT.id)
    assert "(https://example.org/claims/badge/widgets/exponent.svg)" in shown
    assert "https://example.org/claims/claim/widgets/exponent.html" in shown
    assert "ADDRESS" not in shown


def test_every_claim_and_paper_has_a_badge() -> None:
    made = site(evidence_book())
    assert json.loads(made["badge/widgets/speed.json"]())["message"].startswith("not conceptually replicated")
    assert json.loads(made["badge/widgets/ratios.json"]())["message"].startswith("disputed, was")
    assert json.loads(made["badge/widgets/ordering.json"]())["message"].startswith("stale, was")
    assert "1 of 4 claims match" in json.loads(made["badge/widgets.json"]())["message"]
    assert "<svg" in made["badge/widgets.svg"]()


# Annotations


def test_annotations_stand_in_order_with_who_when_and_why() -> None:
    shown = words(evidence_book(), RATIOS.id)
    dispute = "Disputed by A. Reader <a@example.org>, 2024-06-01 The 1.1B model has another vocabulary than the table says. See its Appendix D."
    assert dispute in shown
    assert "The authors reply by Ada Example, 2024-06-02" in shown
    assert "disputed someone contests it." in shown
    assert "1 dispute, 1 reply of the authors: what people added." in shown
    assert "? 0 inconclusive ⊘ 0 blocked" in Page(overview_page(evidence_book())).words


def test_a_settled_dispute_says_by_whom_and_the_attempt_counts_again() -> None:
    book = evidence_book(annotations={DISPUTED.id: SETTLED})
    assert q.state_of(book, RATIOS) == "mismatch"
    shown = words(book, RATIOS.id)
    assert "Confirmed by R. Viewer, 2024-07-01; settles the dispute by A. Reader <a@example.org> of 2024-06-01" in shown
    assert "settled" in shown
    assert "someone contests it" not in shown


def test_a_chain_that_was_edited_makes_the_attempt_tampered_and_shows_where() -> None:
    book = evidence_book(annotations={DISPUTED.id: TAMPERED_CHAIN})
    assert q.validity(book, DISPUTED) == "tampered"
    shown = words(book, RATIOS.id)
    assert "tampered the stored bytes are not those that were sealed" in shown
    assert "broken chain" in shown


def test_an_authors_reply_stands_out_and_changes_nothing() -> None:
    book = evidence_book(annotations={OURS.id: annotated(OURS.id, ("author_reply", "Ada Example", "Thank you."))})
    assert q.stands(book, OURS)
    assert "author_reply" in [a.get("class") for a in Page(claim_page(book, EXPONENT.id)).all("li")]


# Stale, checked


def test_a_stale_attempt_says_what_changed_and_how_to_run_it_again() -> None:
    for page in (claim_page(evidence_book(), ORDERING.id), attempt_page(evidence_book(), CHANGED.id)):
        shown = Page(page).words
        assert (
            "Changed since it was sealed: The seeds were 0 to 2, now 0 to 4. The margin was ± 0.01, now none." in shown
        )
        assert "Run it again: repro run widgets/ordering scale=cpu" in shown


def test_a_checked_value_says_by_whom_instead_of_unverified() -> None:
    book = evidence_book()
    shown = words(book, ORDERING.id)
    assert "checked by A. Reader, Table 3 on page 7, 2024-08-09" in shown
    assert "unverified" not in shown.lower()
    assert "unverified" not in [a.get("title") for a in Page(overview_page(book)).all("span")]
    assert "unverified" in words(evidence_book(source_checks={}), ORDERING.id)


def test_a_check_does_not_turn_a_derived_value_into_a_printed_one() -> None:
    target = replace(ORDERING.parts["value"].target, source="derived")
    assert q.source_of(evidence_book(), ORDERING.id, "value", target) == "derived"


# Theirs


def test_theirs_counts_only_where_its_origin_was_proven() -> None:
    book = evidence_book()
    assert q.stands(book, THEIRS)
    assert not q.stands(book, UNPROVEN)
    assert q.state_of(book, EXPONENT) == "match"
    proven = replace(
        UNPROVEN,
        provenance={**UNPROVEN.provenance, "origin": {**UNPROVEN.provenance["origin"], "checked_against": "digest"}},
    )
    both = evidence_book(attempts=(OURS, THEIRS, proven))
    assert q.state_of(both, EXPONENT) == "mismatch"
    assert q.standings(both, EXPONENT.id)[1].disagreeing == (THEIRS,)
    assert not q.stands(evidence_book(), imported(OURS, checked_against="telepathy"))


def test_theirs_never_takes_the_place_of_ours() -> None:
    found = q.standings(evidence_book(), EXPONENT.id)
    assert [(standing.attempt, standing.newer) for standing in found] == [(OURS, None), (THEIRS, UNPROVEN)]


def test_ours_and_theirs_stand_side_by_side_with_values_machines_and_verdicts() -> None:
    shown = words(evidence_book(), EXPONENT.id)
    assert "Ours and theirs came to the same: match." in shown
    assert "ours retrain at gpu, 2024-05-12 ✓ match 0.513 (0.483 to 0.543, 90 %) Example CPU 2.4 GHz" in shown
    assert "signed by Grace Example ✓ match 0.488 (0.438 to 0.538, 90 %)" in shown
    assert "Other CPU 3.1 GHz, NVIDIA Example 80GB, Linux 6.1, Python 3.11.2, torch 2.11.0+cu128" in shown
    assert "✗ mismatch does not count: its origin is unproven" in shown
    assert "It shares seeds with ours, so the two count as one." in shown
    assert side_by_side(evidence_book(attempts=(OURS,)), EXPONENT.id) == ()


def test_an_import_that_read_the_same_trials_is_no_further_evidence() -> None:
    same = imported(OURS, checked_against="digest")
    book = evidence_book(attempts=(OURS, same))
    assert "it shows that the result repeats elsewhere, and is no further evidence" in words(book, EXPONENT.id)
    assert len(independent(book, EXPONENT.id)) == 1


def test_theirs_is_marked_on_every_page() -> None:
    book = evidence_book()
    for page in (overview_page(book), claim_page(book, EXPONENT.id), attempt_page(book, THEIRS.id)):
        assert "theirs Not run here, but imported (evidence sha256:" in Page(page).words
    assert THEIRS.provenance["origin"]["evidence"] in Page(attempt_page(book, THEIRS.id)).words
    assert "Nothing vouches for its origin" in Page(attempt_page(book, UNPROVEN.id)).words


# All of it


@pytest.mark.parametrize("make", [evidence_book, hostile_evidence_book])
def test_pages_are_balanced_described_and_run_nothing(make) -> None:
    for html in all_pages(make()):
        page = Page(html)
        assert page.own_scripts_only
        assert len(page.all("caption")) == len(page.all("table"))
        assert not page.all("style")
        names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(names) == len(set(names))
        assert {a["href"][1:] for a in page.all("a") if (a.get("href") or "").startswith("#")} <= set(names)
        assert not [
            name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
        ]
        assert not [a for a in page.all("a") if (a.get("href") or "").lower().startswith(("javascript:", "data:"))]
        assert all(not (image.get("src") or "").startswith("x") for image in page.all("img"))


def test_hostile_annotations_citations_and_checks_are_text() -> None:
    book = hostile_evidence_book()
    bare = "<script>alert('x')</script>"
    shown = Page(claim_page(book, EXPONENT.id)).text
    # Who and why of three entries, the problem, the place.
    assert shown.count(bare) >= 8
    assert "{{ 7*7 }}" in shown
    assert "49 }}" not in shown
    for claim in (ORDERING, FACTOR):
        assert bare in Page(claim_page(book, claim.id)).text
    bibtex = citing.citing(book, FACTOR)[0].text("bibtex")
    assert bibtex in Page(claim_page(book, FACTOR.id)).text


def test_every_file_of_the_site_can_be_made_and_has_a_type() -> None:
    from repro.review.server.serve import _TYPES

    for address, make in site(evidence_book()).items():
        assert Path(address).suffix in _TYPES, address
        if not address.endswith(".dsse.json"):
            assert isinstance(make(), bytes) is address.endswith(".zip")


def test_the_trials_of_an_import_are_in_its_table() -> None:
    made = site(evidence_book())
    rows = list(csv.DictReader(io.StringIO(made[attempt_address(THEIRS.id, ".csv")]())))
    assert [row["trial"] for row in rows] == ["u1"]


def test_no_evidence_is_none() -> None:
    assert evidence_of(evidence_book(), CHANGED) is None
    assert OPEN[0].kind == "disputed"


def test_no_name_may_reorder_a_sentence() -> None:
    book = evidence_book(annotations={OURS.id: annotated(OURS.id, ("confirmed", "A\u202e. Reader", "Fine\u2066."))})
    assert "Confirmed by A. Reader, 2024-06-01 Fine." in words(book, EXPONENT.id)


def test_theirs_says_by_which_digest_its_evidence_can_be_checked() -> None:
    digest = THEIRS.provenance["origin"]["evidence"]
    assert f"repro verify EVIDENCE.zip --digest {digest}" in Page(attempt_page(evidence_book(), THEIRS.id)).words
