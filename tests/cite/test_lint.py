"""Citations in texts: found as people write them, and judged by what has become of the results."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repro.cite.citation.facts import Citation, citation_key, cite, one_line
from repro.cite.citation.formats import FORMATS
from repro.cite.evidence.bundle import Bundle, read_bundle
from repro.cite.evidence.content import read_dossier
from repro.cite.linting.cited import MAX_TEXT_BYTES, Cited, citations_in, find
from repro.cite.linting.lint import KnownResult, lint
from repro.schema.errors import ReproError

A = "toy/mean@replicate@cpu-1a2b3c4d-1"
B = "toy/ex_act@re.compute@full-00ff00ff-12"
DIGEST, OTHER = "ab" * 32, "cd" * 32
KEY = "repro:toy.mean.replicate.cpu.1a2b3c4d.1"
KEY_B = "repro:toy.ex_act.re.compute.full.00ff00ff.12"


def found(tmp_path: Path, name: str, text: str) -> list[tuple[Any, ...]]:
    file = tmp_path / name
    file.write_text(text)
    return [(c.line, c.attempt, c.key, c.digest, c.outcome) for c in citations_in(file)]


# What is found


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.md", "Nothing is cited here, but we match sha256:" + DIGEST, []),
        ("a.md", f"We rely on `{A}`.", [(1, A, None, None, None)]),
        ("a.md", f"\n\nSee {A}, evidence sha256:{DIGEST} (verdict `match`).", [(3, A, None, DIGEST, "match")]),
        ("a.md", f"Verdict: **mismatch**, attempt {A}", [(1, A, None, None, "mismatch")]),
        ("a.md", f"the verdict was a mismatch ({A})", [(1, A, None, None, "mismatch")]),
        ("a.md", f"{A} (inconclusive)", [(1, A, None, None, "inconclusive")]),
        ("a.md", f"{A} matches nicely", [(1, A, None, None, None)]),
        ("a.md", f"toy/mean@replicate@cpu-1a2b3c4d-1~{DIGEST[:8]}.", [(1, f"{A}~{DIGEST[:8]}", None, None, None)]),
        ("a.md", f"As [@{KEY}; see also @{KEY_B}] show.", [(1, None, KEY, None, None), (1, None, KEY_B, None, None)]),
        ("a.md", f"Ends with @{KEY}.", [(1, None, KEY, None, None)]),
        ("a.md", "A key that names nothing: [@repro:typo.here]", [(1, None, "repro:typo.here", None, None)]),
        ("a.md", "me@example.org wrote repro: see [the docs](https://x.org/repro:y)", []),
        ("a.md", "escaped toy/ex\\_act@re.compute@full-00ff00ff-12", [(1, B, None, None, None)]),
        (
            "a.md",
            f"- {A}: match, sha256:{DIGEST}\n- {B}: mismatch, sha256:{OTHER}\n",
            [(1, A, None, DIGEST, "match"), (2, B, None, OTHER, "mismatch")],
        ),
        (
            "a.md",
            f"| result | verdict |\n|---|---|\n| {A} | match |\n| {B} | mismatch |\n",
            [(3, A, None, None, "match"), (4, B, None, None, "mismatch")],
        ),
        (
            "a.md",
            f"Verdict match ({A}; sha256:{DIGEST}); verdict mismatch ({B}; sha256:{OTHER}).",
            [(1, A, None, DIGEST, "match"), (1, B, None, OTHER, "mismatch")],
        ),
        ("a.md", f"{A} and again\n{A}", [(1, A, None, None, None)]),
        ("a.md", f"{A}\n\nand later {A}", [(1, A, None, None, None), (3, A, None, None, None)]),
        ("a.md", f"{A}; evidence sha256:{DIGEST[:12]}", [(1, A, None, DIGEST[:12], None)]),
        ("a.qmd", f"See @{KEY}, p. 3", [(1, None, KEY, None, None)]),
        ("a.rst", f"See :cite:`{KEY},other2020` and {A}", [(1, A, KEY, None, None)]),
        ("a.txt", f"{A} {KEY_B}", [(1, None, KEY_B, None, None), (1, A, None, None, None)]),
        ("a.tex", rf"As \citep[p.~3]{{other2020, {KEY}}} shows.", [(1, None, KEY, None, None)]),
        (
            "a.tex",
            rf"\parencite[see][]{{{KEY}}} \nocite{{{KEY_B}}}",
            [(1, None, KEY_B, None, None), (1, None, KEY, None, None)],
        ),
        ("a.tex", "\\cites[1]{x}[2]{\n  " + KEY + "}", [(2, None, KEY, None, None)]),
        ("a.tex", "% \\cite{" + KEY + "}\nx % " + A, []),
        ("a.tex", rf"50\% of {KEY}", [(1, None, KEY, None, None)]),
        ("a.tex", r"\texttt{toy/ex\_act@re.compute@full-00ff00ff-12}", [(1, B, None, None, None)]),
        ("a.tex", r"toy/ex{\_}act@re.compute@full\allowbreak-00ff00ff-12", [(1, B, None, None, None)]),
        ("a.tex", rf"{A}\textasciitilde{{}}{DIGEST[:8]}", [(1, f"{A}~{DIGEST[:8]}", None, None, None)]),
        ("a.tex", f"attempt {A}~and", [(1, A, None, None, None)]),
        ("a.tex", r"toy/mean@replicate@cpu-\-1a2b3c4d\--1", [(1, A, None, None, None)]),
        ("a.md", r"toy/mean@replicate@cpu\-1a2b3c4d\-1", [(1, A, None, None, None)]),
        ("a.tex", "\\item " + A + "\n\\item " + B, [(1, A, None, None, None), (2, B, None, None, None)]),
        (
            "a.bib",
            f"@misc{{{KEY},\n  title = {{T}},\n  note = {{Verdict match (reproduced). Attempt {A}; evidence sha256:{DIGEST}.}},\n}}\n",
            [(3, A, KEY, DIGEST, "match")],
        ),
        ("a.bib", f"@misc{{mine, note={{attempt {A}}}}}\n@book{{other, title={{x}}}}", [(1, A, "mine", None, None)]),
        ("a.bib", f"@misc{{{KEY}, title={{no id}}}}", [(1, None, KEY, None, None)]),
        ("a.bib", f'@comment{{{A}}}\n@string{{x = "y"}}\n% {A}\n', []),
        ("a.bib", r"@misc{m, note={toy/ex\_act@re.compute@full-00ff00ff-12}}", [(1, B, "m", None, None)]),
        (
            "a.bib",
            f"@misc{{{KEY}, note={{Attempt {A}. See also, come out otherwise: {B}: mismatch, not reproduced.}}}}",
            [(1, A, KEY, None, None)],
        ),
        (
            "a.md",
            f"Attempt {A}; evidence sha256:{DIGEST}. See also, come out otherwise: {B}: mismatch, not reproduced (stale).",
            [(1, A, None, DIGEST, None)],
        ),
    ],
)
def test_what_is_found(name: str, text: str, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert sorted(found(tmp_path, name, text), key=str) == sorted(expected, key=str)


def test_keys_in_a_text_are_joined_with_the_bibliography(tmp_path: Path) -> None:
    (tmp_path / "r.bib").write_text(f"@misc{{mine, note={{Verdict match. Attempt {A}; evidence sha256:{DIGEST}}}}}\n")
    (tmp_path / "t.tex").write_text("\\cite{other}\n\\citet{mine}\n")
    (tmp_path / "t.md").write_text("see [@mine]\n")
    places = [tmp_path / name for name in ("t.tex", "r.bib", "t.md")]
    cited = find(places).cited
    assert [(Path(c.file).name, c.line) for c in cited] == [("t.tex", 2), ("r.bib", 1), ("t.md", 1)]
    assert {(c.attempt, c.key, c.digest, c.outcome) for c in cited} == {(A, "mine", DIGEST, "match")}
    assert find(places[:1]).cited == ()


@pytest.mark.parametrize(
    "text",
    [
        f"@misc{{{KEY}, note={{attempt {A}}}, \n\n@misc{{b, title={{x}}}}",
        f"@misc{{b, title={{x}}\n@misc{{{KEY}, note={{attempt {A}}}}}",
        f"@misc{{{KEY}, note={{x}}, note={{attempt {A}}}}}",
        f"@misc{{{KEY}, note={{{{{{ {A}",
        f'@misc{{{KEY} note="{A}',
    ],
)
def test_a_broken_bibliography_is_searched_as_text_and_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "b.bib"
    file.write_text(text)
    result = find([file])
    assert A in [c.attempt for c in result.cited]
    assert any("searched as text" in note and str(file) in note for note in result.notes)


def test_the_same_entry_twice_is_said(tmp_path: Path) -> None:
    file = tmp_path / "b.bib"
    file.write_text(f"@misc{{{KEY}, note={{attempt {A}}}}}\n@misc{{{KEY}, note={{attempt {A}}}}}\n")
    result = find([file])
    assert [(c.line, c.attempt) for c in result.cited] == [(1, A), (2, A)]
    assert len(result.notes) == 1


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "x.pdf").write_bytes(b"%PDF\0\1")
    (tmp_path / "large.tex").write_bytes(b"a" * (MAX_TEXT_BYTES + 1))
    for name, message in (
        ("dir", r"is a directory; name the files, .*\*\.tex"),
        ("x.pdf", "is no text"),
        ("large.tex", "larger than 8 MiB"),
        ("absent.tex", "cannot be read"),
    ):
        with pytest.raises(ReproError, match=message):
            citations_in(tmp_path / name)
    (tmp_path / "latin.tex").write_bytes(b"\xe9\xe8 " + A.encode())
    assert [c.attempt for c in citations_in(tmp_path / "latin.tex")] == [A]
    (tmp_path / "crlf.md").write_bytes(b"\xef\xbb\xbfone\r\n\r\n" + A.encode())
    assert [c.line for c in citations_in(tmp_path / "crlf.md")] == [3]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "a/" * 200_000),
        ("a.md", "a" * 400_000 + "@"),
        ("a.md", "a/b@" * 100_000),
        ("a.tex", "\\cite[" * 60_000),
        ("a.tex", "\\cite{" * 60_000),
        ("a.tex", "\\cite" + "[x]" * 100_000),
        ("a.tex", "\\_" * 200_000),
        ("a.tex", "{" * 400_000),
        ("a.md", ("@" + "x" * 50) * 8_000),
        ("a.md", "verdict" + " is" * 100_000),
        ("a.md", "\n" * 400_000),
        ("a.rst", ":cite:`" * 50_000),
        ("a.md", f"{A}\n" * 10_000),
        ("a.bib", "@misc{" * 30_000),
        ("a.bib", "@misc{a, x={" + "{" * 300_000),
        ("a.bib", "@" * 300_000),
        ("a.bib", '@misc{a, x="' + '{"' * 150_000),
        ("a.bib", "@misc{a,\n" * 20_000),
        ("a.bib", "".join(f"@misc{{k{i}, note={{{A}}}}}\n" for i in range(5_000))),
    ],
)
def test_hostile_texts_take_no_long_time(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    started = time.process_time()
    cited = find([file]).cited
    assert time.process_time() - started < 10
    assert all(c.attempt == A for c in cited)


# What is printed is found again

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60)
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
hexes = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw another result than the toy's: its names, verdict and digest, and texts that hold any character."""
    claim = f"{draw(names)}/{draw(names)}"
    protocol, scale = draw(names), draw(st.sampled_from(["smoke", "cpu", "gpu", "paper", "full"]))
    seal, outcome = draw(hexes), draw(st.sampled_from(["match", "mismatch"]))
    tail = draw(st.sampled_from(["", "~0123abcd"]))
    attempt = f"{claim}@{protocol}@{scale}-{seal[:8]}-{draw(st.integers(1, 30))}{tail}"
    other = f"{claim}@{protocol}@{scale}-{draw(hexes)[:8]}-1"
    reverse = "match" if outcome == "mismatch" else "mismatch"
    address = (f"docs/results/{claim}/{protocol}@{scale}-{seal[:8]}-1", "https://example.org/claims/x.html")
    return {
        "key": citation_key(attempt),
        "attempt": attempt,
        "claim": claim,
        "protocol": protocol,
        "scale": scale,
        "seal": seal,
        "outcome": outcome,
        "digest": draw(hexes),
        "address": draw(st.sampled_from(address)),
        "statement": one_line(draw(words)) or "It holds.",
        "locator": one_line(draw(words)),
        "verdict": draw(st.sampled_from(["replicated at reduced scale (0.8 % of it)", "not replicated at this scale"])),
        "indicative": draw(st.booleans()),
        "annotations": draw(st.sampled_from([(), ("Confirmed (B. Bell, 2026-02-03): it is a match for me",)])),
        "contrary": draw(st.sampled_from([(), (f"{other}: {reverse}, otherwise (stale)",)])),
    }


@pytest.fixture(scope="module")
def toy_citation(toy_bundle: Bundle) -> Citation:
    dossier = read_dossier(toy_bundle)
    return cite(dossier.attempt, dossier.claim, dossier.paper, evidence_digest=toy_bundle.digest, address="docs/x")


SUFFIXES = {
    "bibtex": ("bib",),
    "cff": ("cff",),
    "csl": ("json",),
    "ris": ("ris",),
    "markdown": ("md", "qmd"),
    "sentence": ("txt", "tex", "md", "rst"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed=changes(), name=st.sampled_from(sorted(FORMATS)))
def test_every_printed_citation_is_found_again(
    tmp_path: Path, toy_citation: Citation, changed: dict[str, Any], name: str
) -> None:
    citation = replace(toy_citation, **changed)
    for suffix in SUFFIXES[name]:
        text = FORMATS[name](citation)
        file = tmp_path / f"printed.{suffix}"
        file.write_text(text.replace("%", r"\%") if suffix == "tex" else text, encoding="utf-8")
        cited = [(c.attempt, c.digest, c.outcome) for c in citations_in(file)]
        assert cited == [(citation.attempt, citation.digest, citation.outcome)]
        if name == "bibtex":
            assert [c.key for c in citations_in(file)] == [citation.key]


def test_every_format_is_covered() -> None:
    assert set(SUFFIXES) == set(FORMATS)


# What has become of it

KNOWN = KnownResult(A, "toy/mean", "replicate", "cpu", "match", "current", "2026-01-01T00:00:00", DIGEST)
CITED = Cited("p.tex", 7, attempt=A, digest=DIGEST, outcome="match")


def kinds(cited: Cited, *known: KnownResult) -> list[str]:
    return [problem.kind for problem in lint([cited], {each.attempt: each for each in known})]


@pytest.mark.parametrize(
    ("cited", "known", "expected"),
    [
        (CITED, KNOWN, []),
        (replace(CITED, attempt=None, key=KEY), KNOWN, []),
        (replace(CITED, digest=None, outcome=None), KNOWN, []),
        (replace(CITED, digest=DIGEST[:10]), KNOWN, []),
        (replace(CITED, attempt=A + "~" + DIGEST[:8], digest=None), KNOWN, []),
        (replace(CITED, attempt=A[:-1] + "2"), KNOWN, ["unknown"]),
        (replace(CITED, attempt=None, key="repro:toy.mean"), KNOWN, ["unknown"]),
        (replace(CITED, attempt=A + "~" + OTHER[:8], digest=None), KNOWN, ["unknown"]),
        (CITED, replace(KNOWN, validity="stale"), ["stale"]),
        (CITED, replace(KNOWN, validity="disputed"), ["disputed"]),
        (CITED, replace(KNOWN, validity="invalidated"), ["invalidated"]),
        (CITED, replace(KNOWN, validity="tampered"), ["tampered"]),
        (CITED, replace(KNOWN, validity="post_hoc"), ["post_hoc"]),
        (replace(CITED, digest=OTHER), KNOWN, ["changed"]),
        (replace(CITED, outcome="mismatch"), KNOWN, ["changed"]),
        (
            replace(CITED, digest=OTHER, outcome="mismatch"),
            replace(KNOWN, validity="stale"),
            ["stale", "changed", "changed"],
        ),
        (CITED, replace(KNOWN, outcome=None), ["changed"]),
        (CITED, replace(KNOWN, evidence=None), ["unchecked"]),
        (replace(CITED, digest=None), replace(KNOWN, evidence=None), []),
    ],
)
def test_what_has_become_of_a_citation(cited: Cited, known: KnownResult, expected: list[str]) -> None:
    assert kinds(cited, known) == expected


LATER = replace(KNOWN, attempt=A[:-1] + "2", outcome="mismatch", started="2026-02-01T00:00:00", evidence=OTHER)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (LATER, ["contradicted"]),
        (replace(LATER, outcome="match"), []),
        (replace(LATER, outcome="inconclusive"), []),
        (replace(LATER, outcome=None), []),
        (replace(LATER, started="2025-02-01"), []),
        (replace(LATER, protocol="another"), []),
        (replace(LATER, claim="toy/other"), []),
        (replace(LATER, exploratory=True), []),
        (replace(LATER, counts=False), []),
        (replace(LATER, validity="invalidated"), []),
        (replace(LATER, validity="post_hoc"), []),
        (replace(LATER, validity="stale"), ["contradicted"]),
        (replace(LATER, scale="gpu", started="2025-02-01"), ["contradicted"]),
        (replace(LATER, scale="paper", protocol="another"), ["contradicted"]),
        (replace(LATER, scale="smoke"), []),
        (replace(LATER, scale="full"), []),
        (replace(LATER, attempt=f"{A}~{OTHER[:8]}"), ["contradicted"]),
    ],
)
def test_another_attempt_that_decided_otherwise(other: KnownResult, expected: list[str]) -> None:
    assert kinds(CITED, KNOWN, other) == expected


def test_of_two_attempts_of_one_id_the_one_with_the_digest_is_meant() -> None:
    theirs = replace(KNOWN, attempt=f"{A}~{OTHER[:8]}", evidence=OTHER, validity="disputed")
    assert kinds(CITED, KNOWN, theirs) == []
    assert kinds(replace(CITED, digest=OTHER), KNOWN, theirs) == ["disputed"]
    assert kinds(replace(CITED, attempt=theirs.attempt, digest=None), KNOWN, theirs) == ["disputed"]


def test_a_problem_says_where_what_and_what_to_do() -> None:
    why = "the margin was 0.05 and is 0.01"
    (problem,) = lint([CITED], {A: replace(KNOWN, validity="stale", why=why)})
    assert (problem.file, problem.line, problem.cited) == ("p.tex", 7, A)
    assert why in problem.found
    assert "repro run toy/mean protocol=replicate scale=cpu" in problem.todo
    (problem,) = lint([replace(CITED, attempt=A[:-1] + "3")], {A: KNOWN})
    assert f"Did you mean '{A}'?" in problem.found
    assert "repro import" in problem.todo


# The command


@pytest.fixture
def paper(in_toy_home: Path, tmp_path: Path, toy_ids: dict[str, str], toy_bundle: Bundle) -> Path:
    """A text that cites both toy results, in a directory of its own."""
    text = f"# T\n\nVerdict match: {toy_ids['toy/mean']}, sha256:{toy_bundle.digest}.\n\nAlso {toy_ids['toy/exact']}.\n"
    file = tmp_path / "paper.md"
    file.write_text(text)
    return file


def test_fine_citations(repro: Any, paper: Path) -> None:
    code, out, _ = repro("lint-citations", str(paper))
    assert (code, out) == (0, "2 citations of results found, and all are fine.\n")


def test_no_citation(repro: Any, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("nothing")
    assert repro("lint-citations", str(tmp_path / "a.md"))[:2] == (0, "No citation of a result was found.\n")


def test_changed_citations_are_listed(repro: Any, paper: Path, toy_bundle: Bundle) -> None:
    text = paper.read_text().replace(toy_bundle.digest, OTHER).replace("Verdict match", "Verdict mismatch")
    paper.write_text(text.replace("toy/exact@", "toy/exakt@"))
    code, out, _ = repro("lint-citations", str(paper))
    assert code == 1
    assert f"{paper}:3: changed: toy/mean@" in out
    assert f"Its evidence is sha256:{toy_bundle.digest[:12]}" in out
    assert "Its verdict is match, and mismatch is cited." in out
    assert f"{paper}:5: unknown: toy/exakt@" in out
    assert "Did you mean 'toy/exact@" in out
    assert "2 citations of results found: 2 to look at, 0 fine." in out
    code, out, _ = repro("lint-citations", str(paper), "--json")
    document = json.loads(out)
    assert code == 1
    assert document["schema"] == "repro.lint-citations/1"
    assert [(p["line"], p["kind"]) for p in document["problems"]] == [(3, "changed"), (3, "changed"), (5, "unknown")]
    assert len(document["citations"]) == 2


def test_a_changed_margin_makes_a_citation_stale(repro: Any, own_toy_home: Path) -> None:
    from repro.ledger.read import load_attempts
    from tests_support import forget_recipes

    attempt = next(each.id for each in load_attempts("toy/mean"))
    Path("paper.tex").write_text(f"\\cite{{{citation_key(attempt)}}}\n")
    assert repro("lint-citations", "paper.tex")[0] == 0
    claim = own_toy_home / "claims" / "claim" / "toy" / "mean.yaml"
    assert "absolute: 0.25" in claim.read_text()
    claim.write_text(claim.read_text().replace("absolute: 0.25", "absolute: 0.2"))
    forget_recipes()
    code, out, _ = repro("lint-citations", "paper.tex")
    assert code == 1
    assert "paper.tex:1: stale: repro:toy.mean" in out
    assert "margin" in out


def test_a_withdrawn_result_is_found(repro: Any, own_toy_home: Path) -> None:
    from repro.ledger.read import load_attempts

    attempt = next(each.id for each in load_attempts("toy/mean"))
    Path("a.md").write_text(attempt)
    code, _, err = repro("annotate", attempt, "disputed", "--who", "B. Bell", "--why", "wrong [red]units[/]\x1b[31m")
    assert code == 0, err
    code, out, _ = repro("lint-citations", "a.md")
    assert code == 1
    assert "disputed" in out
    assert "B. Bell" in out
    assert "[red]units[/]" in out
    assert "\x1b" not in out
    assert repro("annotate", attempt, "invalidated", "--who", "B. Bell", "--why", "wrong data")[0] == 0
    code, out, _ = repro("lint-citations", "a.md")
    assert code == 1
    assert "invalidated" in out
    assert "wrong data" in out


def test_a_control_character_in_a_file_is_not_printed(repro: Any, tmp_path: Path) -> None:
    (tmp_path / "a.bib").write_text(f"@misc{{\x1b[31mkey, note={{{A}}}\n")
    (tmp_path / "a.tex").write_text("\\cite{repro:x\x1b[31m}")
    code, out, err = repro("lint-citations", str(tmp_path / "a.bib"), str(tmp_path / "a.tex"))
    assert code == 1
    assert "\x1b" not in out + err


def test_a_published_result_is_known_without_a_ledger(repro: Any, own_toy_home: Path, toy_bundle: Bundle) -> None:
    from repro.ledger.read import load_attempts

    attempt = next(each.id for each in load_attempts("toy/mean"))
    code, _, err = repro("publish", attempt)
    assert code == 0, err
    (place,) = (own_toy_home / "results" / "toy" / "mean").glob("replicate@cpu-*-1")
    digest = read_bundle(place).digest
    Path("a.md").write_text(f"verdict match: {attempt}, sha256:{digest}")
    for store in ("mlflow.db", ".repro"):
        Path(store).rename(f"away-{store}")
    assert repro("lint-citations", "a.md")[:2] == (0, "1 citation of results found, and it is fine.\n")
    trials = place / "trials.jsonl"
    trials.write_text(trials.read_text().replace('"replicate":0', '"replicate":7'))
    code, out, _ = repro("lint-citations", "a.md")
    assert code == 1
    assert "tampered" in out
    assert "not those that the index of published results lists" in out
    assert f"sha256:{digest[:12]}... is cited" in out


def test_from_cite_to_lint(repro: Any, own_toy_home: Path) -> None:
    from repro.ledger.read import load_attempts

    attempt = next(each.id for each in load_attempts("toy/mean"))
    assert repro("publish", attempt)[0] == 0
    for name in ("bibtex", "markdown"):
        code, out, err = repro("cite", "toy/mean", "--format", name)
        assert code == 0, err
        Path(f"cited.{SUFFIXES[name][0]}").write_text(out)
    Path("paper.tex").write_text(f"\\cite{{{citation_key(attempt)}}}\n")
    files = ["paper.tex", "cited.bib", "cited.md"]
    code, out, err = repro("lint-citations", *files)
    assert (code, out, err) == (0, "3 citations of results found, and all are fine.\n", "")
    assert repro("annotate", attempt, "invalidated", "--who", "B. Bell", "--why", "wrong data")[0] == 0
    code, out, _ = repro("lint-citations", *files)
    assert code == 1
    assert out.count(": invalidated: ") == 3
    assert "paper.tex:1: invalidated: repro:toy.mean" in out or "paper.tex:1: invalidated: toy/mean@" in out
