"""`repro cite` as a person at a terminal and a program in a pipe see it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rispy
from pybtex.database import parse_string

from repro.cite.citation.formats import FORMATS
from repro.cite.evidence.content import evidence_of
from repro.cite.results.index import rewrite
from repro.cite.results.publish import publish
from repro.ledger.read import load_attempts
from repro.schema.annotation import Annotation, continued

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(in_toy_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results directory beside the toy ledger."""
    root = tmp_path / "docs" / "results"
    root.mkdir(parents=True)
    monkeypatch.setenv("REPRO_RESULTS", str(root))
    monkeypatch.delenv("REPRO_SITE", raising=False)
    return root


def attempt_of(claim: str) -> str:
    (attempt,) = load_attempts(claim)
    return attempt.id


def published(claim: str, root: Path, *entries: Annotation) -> str:
    """Publish the attempt at a claim and return its id."""
    name = attempt_of(claim)
    publish(evidence_of(name), root, entries)
    rewrite(root)
    return name


def test_what_is_not_published_says_how_to_publish_it(results: Path, repro: Command) -> None:
    code, out, err = repro("cite", "toy/mean")
    name = attempt_of("toy/mean")
    assert (code, out) == (1, "")
    assert err == (
        f"error: {name} cannot be cited yet. What is missing:\n"
        f"- Its evidence is not published. Publish it: repro publish {name} (or say where it lies with --address URL)\n"
    )


def test_a_published_result_is_cited_in_every_format(results: Path, repro: Command) -> None:
    name = published("toy/exact", results)
    digest = evidence_of(name).digest
    code, out, err = repro("cite", "toy/exact", columns=80)
    assert code == 0
    assert err == (
        f"cited: {name} (match: recomputed)\n"
        f"its evidence is cited by its place in the repository, docs/results/{name.replace('@', '/', 1)}; name the site of the published "
        "pages in REPRO_SITE, or where the evidence lies with --address URL, to cite a web page\n"
    )
    paper, result = parse_string(out, "bibtex").entries.values()
    assert paper.fields["eprint"] == "2401.00001"
    assert f"evidence sha256:{digest}; docs/results/{name.replace('@', '/', 1)}" in result.fields["note"]
    for format_name in FORMATS:
        code, out, _ = repro("cite", name, "--format", format_name, columns=40)
        assert code == 0
        assert digest in out.replace("\\", "")
        assert "\x1b" not in out
    # What a pipe gets is not wrapped to the terminal.
    assert max(map(len, repro("cite", "toy/exact", "--format", "ris", columns=40)[1].splitlines())) > 200
    assert len(rispy.loads(repro("cite", "toy/exact", "--format", "ris")[1])) == 2


def test_json_has_every_fact_and_every_format(results: Path, repro: Command) -> None:
    name = published("toy/exact", results)
    code, out, err = repro("cite", "toy/exact", "--json")
    document = json.loads(out)
    assert (code, err, document["schema"]) == (0, "", "repro.cite/1")
    assert document["citation"]["attempt"] == name
    assert document["citation"]["outcome"] == "match"
    assert set(document["formats"]) == set(FORMATS)


def test_an_address_stands_for_publication(results: Path, repro: Command) -> None:
    name = attempt_of("toy/mean")
    code, out, _ = repro(
        "cite", "toy/mean", "--format", "sentence", "--address", "https://example.org/a.zip", "--by", "Ada Lovelace"
    )
    assert code == 0
    assert f"evidence sha256:{evidence_of(name).digest}; https://example.org/a.zip" in out
    assert "result of Ada Lovelace" in out


def test_the_page_of_the_site_is_the_address_where_there_is_one(
    results: Path, repro: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    published("toy/exact", results)
    monkeypatch.setenv("REPRO_SITE", "https://results.example.org")
    assert "https://results.example.org/claim/toy/exact.html" in repro("cite", "toy/exact")[1]


def test_published_files_that_were_changed_are_not_cited(results: Path, repro: Command) -> None:
    name = published("toy/exact", results)
    (figure,) = results.rglob("figure.svg")
    figure.write_text(figure.read_text() + " ")
    code, out, err = repro("cite", "toy/exact")
    assert (code, out) == (1, "")
    assert f"{name} cannot be cited" in err
    assert "Its published evidence has the digest" in err
    figure.unlink()
    figure.symlink_to("/etc/hostname")
    code, out, err = repro("cite", "toy/exact")
    assert (code, out) == (1, "")
    assert "its published evidence cannot be read" in err


def test_a_dispute_stops_a_citation_and_a_settled_one_is_told(results: Path, repro: Command) -> None:
    name = attempt_of("toy/exact")
    dispute = continued((), Annotation(name, "disputed", "B. Li", "2026-06-01T00:00:00+00:00", "Two is three.\x1b[31m"))
    published("toy/exact", results, dispute)
    code, out, err = repro("cite", "toy/exact")
    assert (code, out) == (1, "")
    assert (
        "- It is disputed by B. Li: Two is three. [31m. Whoever has checked that can settle it: repro annotate" in err
    )
    assert f"confirmed --settles {dispute.digest[:8]} --who" in err
    answer = continued(
        (dispute,),
        Annotation(name, "confirmed", "C. Wu", "2026-06-02T00:00:00+00:00", "It is not.", settles=dispute.digest),
    )
    published("toy/exact", results, dispute, answer)
    code, out, _ = repro("cite", "toy/exact", "--format", "sentence")
    assert code == 0
    assert "Disputed, settled since (B. Li, 2026-06-01): Two is three." in out
    assert "Confirmed (C. Wu, 2026-06-02): It is not." in out


def test_what_a_seal_covers_and_has_changed_is_named(
    results: Path, repro: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published("toy/mean", results)
    claims = shutil.copytree("claims", tmp_path / "changed")
    file = claims / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("absolute: 0.25", "absolute: 0.5"))
    monkeypatch.setenv("REPRO_CLAIMS", str(claims))
    code, out, err = repro("cite", "toy/mean")
    assert (code, out) == (1, "")
    assert "- What its seal covers has changed since (" in err
    assert "0.25" in err
    assert "Run it again: repro run toy/mean protocol=replicate scale=cpu" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["toy/maen"], 2, "There is no claim 'toy/maen'. Did you mean 'toy/mean'?"),
        (["toy/*"], 2, "'toy/*' means 2 claims; a citation is of one, such as toy/exact."),
        (["toy/mean", "--format", "bibtx"], 2, "There is no format 'bibtx'. Did you mean 'bibtex'?"),
        (["toy/mean", "--protocol", "replicat"], 2, "toy/mean has no protocol 'replicat'. Did you mean 'replicate'?"),
        (["toy/mean@a@cpu-1-1", "--attempt", "other"], 2, "Two attempts are named"),
        (["toy/mean", "--address", "here"], 2, "--address must be a web address"),
        (["toy/mean", "--scale", "smoke"], 1, "toy/mean has no attempt at scale=smoke. Run one: repro run toy/mean scale=smoke"),
    ],
)  # fmt: skip
def test_mistakes_are_named(results: Path, repro: Command, words: list[str], code: int, said: str) -> None:
    assert repro("cite", *words)[:2] == (code, "")
    assert said in repro("cite", *words)[2]


def test_help_teaches_the_formats(repro: Command) -> None:
    code, out, _ = repro("cite", "--help", columns=80)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for name in FORMATS:
        assert name in out
