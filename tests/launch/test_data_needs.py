"""What data a scale needs: its own list, what the plan says of it, and a directory to take along."""

import hashlib
import json
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.catalog.load import load_study
from repro.launch.planning.data_needs import carry_data, needs_of, require_listed
from repro.launch.planning.layout import lay_out
from repro.launch.session import prepare
from repro.schema.errors import ConfigError, DataError, PlanError
from repro.schema.study import Scale
from repro.schema.trial import TrialSpec
from tests_support import RECIPE, STUDY

TEXT = b"a text\n"


def data_set(name: str, derived: bool = False, content: bytes = TEXT) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    said = "derived: true\nnote: Made by hand." if derived else ""
    return f"file: texts/{name}.txt\nurl: http://127.0.0.1:9/{name}\nsha256: {sha256}\n{said}\n"


SETS = {f"data/{name}.yaml": data_set(name, derived=name == "made") for name in ("poems", "plays", "made")}
PER_SCALE = """
recipe: recipes.toys.draws
data: [poems]
scales:
  smoke: {replicates: 3}
  cpu: {replicates: 6, data: [plays, made]}
  gpu: {data: []}
"""
READS = (
    RECIPE
    + """

def reads(config):
    return ("poems",) if config.effect else ("lost",)


def carry(configs, context, directory):
    (directory / "tokens").mkdir(exist_ok=True)
    (directory / "tokens" / "made").write_text(f"{len(configs)} {context.data('poems').read_text()}")
"""
)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror that holds `poems` alone, and an empty cache."""
    directory = tmp_path / "mirror"
    (directory / "texts").mkdir(parents=True)
    (directory / "texts/poems.txt").write_bytes(TEXT)
    monkeypatch.setenv("REPRO_DATA", str(directory))
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    return directory


def trials(scale: str) -> list[TrialSpec]:
    return lay_out(load_study("toys/draws"), Scale(scale, "cpu", "float32", 60.0, ""), (0,))


def test_a_scale_may_read_other_data_than_its_study(write_claims, mirror: Path) -> None:
    write_claims(study=PER_SCALE, extra=SETS)
    study = load_study("toys/draws")
    assert [study.data_at(scale) for scale in ("smoke", "cpu", "gpu", "none")] == [
        ("poems",),
        ("plays", "made"),
        (),
        ("poems",),
    ]
    read = {scale: tuple(data.id for data in trials(scale)[0].data) for scale in study.scales}
    assert read == {"smoke": ("poems",), "cpu": ("plays", "made"), "gpu": ()}
    keys = {trials(scale)[0].key for scale in study.scales}
    assert len(keys) == 3, "what was read is part of the trial's key"


def test_a_scale_that_names_no_data_leaves_the_trial_keys_as_they_were(write_claims) -> None:
    write_claims(extra=SETS, study=STUDY.replace("replicates: 6", "replicates: 6\ndata: [poems]"))
    before = trials("smoke")[0].key
    write_claims(
        extra=SETS, study=STUDY.replace("replicates: 6", "data: [poems]").replace("{replicates: 3}", "{data: null}")
    )
    assert trials("smoke")[0].key == before


def test_data_of_a_scale_that_are_not_registered_are_named_with_the_key(write_claims, repro) -> None:
    write_claims(study=PER_SCALE.replace("plays", "play"), extra=SETS)
    with pytest.raises(
        ConfigError, match=r"'scales\.cpu\.data' names 'play', which has no file .* Did you mean 'plays'"
    ):
        load_study("toys/draws")
    code, _, errors = repro("plan", "toy/mean", "scale=cpu")
    assert code == 2
    assert "'scales.cpu.data' names 'play'" in errors


def test_the_plan_says_what_is_here_and_what_is_not(write_claims, mirror: Path, repro) -> None:
    write_claims(study=PER_SCALE, extra=SETS)
    assert [need.state for need in needs_of(trials("smoke"))] == ["here"]
    assert [(need.id, need.state) for need in needs_of(trials("cpu"))] == [("made", "absent"), ("plays", "to_fetch")]
    assert needs_of(trials("gpu")) == []
    assert "poems: here" in repro("plan", "toy/mean", "scale=smoke")[1]
    said = " ".join(repro("plan", "toy/mean", "scale=cpu")[1].split())
    assert "made: not on this machine, and no address serves it: put texts/made.txt below a directory" in said
    assert "plays: not on this machine yet: texts/plays.txt is fetched from http://127.0.0.1:9/plays" in said
    (row,) = json.loads(repro("plan", "toy/mean", "scale=cpu", "--json")[1])["attempts"]
    assert [need["state"] for need in row["data"]] == ["absent", "to_fetch"]
    (mirror / "texts/poems.txt").write_bytes(b"other words\n")
    assert [need.state for need in needs_of(trials("smoke"))] == ["damaged"]


def test_nothing_is_sealed_for_elsewhere_while_data_are_absent(write_claims, mirror: Path, repro) -> None:
    write_claims(study=PER_SCALE.replace("plays, made", "made"), extra=SETS)
    code, _, errors = repro("plan", "toy/mean", "scale=cpu", "--out", "plan.json")
    assert code == 2
    assert "'made' (texts/made.txt) is not on this machine, and no address serves it" in errors
    assert not Path("plan.json").exists()
    assert not Path(".repro").exists()


def test_what_a_recipe_reads_and_its_study_does_not_list_is_said_and_refused(write_claims, mirror: Path, repro) -> None:
    study = PER_SCALE.replace(", data: [plays, made]", "")
    write_claims(study=study, extra=SETS, recipe=READS)
    found = needs_of(
        [
            *trials("cpu"),
            *lay_out(load_study("toys/draws"), Scale("cpu", "cpu", "float32", 60.0, ""), (0,), {"effect": 0.0}),
        ]
    )
    assert [(need.id, need.state) for need in found] == [("lost", "unlisted"), ("poems", "here")]
    said = " ".join(repro("plan", "toy/mean", "scale=cpu")[1].split())
    assert (
        "lost: cannot run: toys/draws does not list it under 'data' at this scale, and there is no conf/data/lost.yaml"
        in said
    )
    for words in (("plan", "--out", "plan.json"), ("run",)):
        code, _, errors = repro(words[0], "toy/mean", "scale=cpu", *words[1:])
        assert code == 2
        assert "Nothing was sealed, because these trials lack their data. lost: cannot run" in errors
    assert not Path(".repro").exists()
    require_listed(trials("cpu"))
    with pytest.raises(PlanError, match="lost"):
        prepare(["toy/mean", "scale=cpu"], load_index())


def test_the_data_of_a_plan_are_taken_along_and_serve_there(
    write_claims, mirror: Path, repro, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from repro.launch import worker

    recipe = READS.replace('return ("poems",) if config.effect else ("lost",)', 'return ("poems",)')
    recipe = recipe.replace(
        "x = draw.gauss", "assert context.data('poems').read_text() == 'a text\\n'\n    x = draw.gauss"
    )
    write_claims(study=PER_SCALE, extra=SETS, recipe=recipe)
    code, out, _ = repro("plan", "toy/mean", "scale=smoke", "--out", "plan.json", "--data", "along")
    assert code == 0
    assert "Its data, 2 files of 0.0 MiB in all, are in along." in out
    assert "REPRO_DATA=along/ python -m repro.launch.worker plan.json --out records/" in out
    assert Path("along/texts/poems.txt").read_bytes() == TEXT
    assert Path("along/tokens/made").read_text() == "6 a text\n", "all configs at once"
    (mirror / "texts/poems.txt").unlink()
    monkeypatch.setenv("REPRO_DATA", "along")
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "elsewhere"))
    assert worker.main(["plan.json", "--out", "records"]) == 0


def test_a_directory_that_is_the_mirror_is_left_alone_and_a_bad_copy_is_replaced(write_claims, mirror: Path) -> None:
    write_claims(study=PER_SCALE, extra=SETS)
    specs = trials("smoke")
    before = (mirror / "texts/poems.txt").stat().st_mtime_ns
    assert carry_data(specs, mirror) == [mirror / "texts/poems.txt"]
    assert (mirror / "texts/poems.txt").stat().st_mtime_ns == before
    there = Path("there/texts/poems.txt")
    there.parent.mkdir(parents=True)
    there.write_bytes(b"half a te")
    assert carry_data(specs, Path("there")) == [there]
    assert there.read_bytes() == TEXT


def test_a_place_that_cannot_be_written_and_data_without_a_plan_file_are_named(
    write_claims, mirror: Path, repro
) -> None:
    write_claims(study=PER_SCALE, extra=SETS)
    Path("taken").write_text("a file")
    with pytest.raises(DataError, match="could not be written to taken"):
        carry_data(trials("smoke"), Path("taken"))
    code, _, errors = repro("plan", "toy/mean", "scale=smoke", "--data", "along")
    assert code == 2
    assert "--data goes with --out" in errors


def test_a_plan_says_whose_terms_come_first(write_claims, mirror: Path) -> None:
    terms = "https://example.org/terms.html"
    plays = data_set("plays") + f"terms: {terms}\n"
    write_claims(study=PER_SCALE.replace("[plays, made]", "[plays]"), extra=SETS | {"data/plays.yaml": plays})
    (need,) = needs_of(trials("cpu"))
    assert (need.id, need.state) == ("plays", "absent")
    assert terms in need.said
    assert "is not fetched for you" in need.said


def test_one_file_that_cannot_be_had_keeps_no_other_from_coming(
    write_claims, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.launch import session

    study = PER_SCALE.replace("data: [poems]", "data: [plays, poems]").replace(
        "cpu: {replicates: 6, data: [plays, made]}", "cpu: {replicates: 6}"
    )
    write_claims(study=study, extra=SETS)
    asked: list[str] = []
    monkeypatch.setattr(session, "fetch", lambda data, real=session.fetch: asked.append(data.id) or real(data))
    prepared = prepare(["toy/mean", "scale=cpu"], load_index())
    with pytest.raises(DataError, match="'plays'"):
        session.fetch_data(prepared.plan)
    assert asked == ["plays", "poems"]
