"""The crate of a bundle against each MUST of RO-Crate 1.1 and of Process Run Crate 0.5, and what programs need besides.

What is required is written out here from the two documents, https://w3id.org/ro/crate/1.1 (metadata, root data entity, data
entities, contextual entities) and https://w3id.org/ro/wfrun/process/0.5 (requirements). rocrate reads the crate back as well.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from rocrate.rocrate import ROCrate

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.content import evidence_files, read_dossier
from repro.schema.dataset import DataSet

Entity = dict[str, Any]
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TOOLS = {"SoftwareApplication", "SoftwareSourceCode", "ComputationalWorkflow"}
DATA = (
    DataSet("direct", "a.csv", "https://example.org/a b.csv", "a" * 64, "MIT", "A table."),
    DataSet("derived", "b.csv", "https://example.org/page", "b" * 64, derived=True, note="Made from\na page."),
    DataSet("twin", "c.csv", "https://example.org/a b.csv", "c" * 64),
    DataSet("unknown", "", "", "d" * 64),
    DataSet("odd", "", "http://[", "e" * 64),
    DataSet("root", "", "./", "f" * 64),
)


def crate_of(bundle: Bundle) -> Entity:
    document: Entity = json.loads(bundle.files["ro-crate-metadata.json"])
    return document


def graph(bundle: Bundle) -> dict[str, Entity]:
    return {entity["@id"]: entity for entity in crate_of(bundle)["@graph"]}


def types(entity: Entity) -> set[str]:
    kind = entity["@type"]
    return {kind} if isinstance(kind, str) else set(kind)


def values(entity: Entity, name: str) -> list[Any]:
    value = entity.get(name, [])
    return value if isinstance(value, list) else [value]


def references(entity: Entity, name: str) -> list[str]:
    return [value["@id"] for value in values(entity, name)]


def actions(entities: dict[str, Entity]) -> list[Entity]:
    return [entity for entity in entities.values() if "CreateAction" in types(entity)]


def remade(bundle: Bundle, **changes: Any) -> Bundle:
    return Bundle(evidence_files(replace(read_dossier(bundle), **changes)))


@pytest.fixture(scope="module", params=["mean", "exact", "with data", "failed", "their own"])
def bundle(request: pytest.FixtureRequest, toy_bundle: Bundle, exact_bundle: Bundle) -> Iterator[Bundle]:
    dossier = read_dossier(toy_bundle)
    match request.param:
        case "mean":
            yield toy_bundle
        case "exact":
            yield exact_bundle
        case "with data":
            yield remade(exact_bundle, data=DATA)
        case "failed":
            attempt = replace(dossier.attempt, verdict=None, execution="failed", message="It broke.", provenance={})
            yield remade(toy_bundle, attempt=attempt, records=(), sources={}, figure=None)
        case "their own":
            paper = replace(dossier.paper, arxiv=None, doi=None, url=None, authors=(), venue="Some & Other")
            records = tuple(replace(record, recipe="experiments.x.y").with_digest() for record in dossier.records)
            yield remade(toy_bundle, paper=paper, records=records, sources={"experiments.x.y": "pass\n"})


# RO-Crate 1.1: JSON-LD


def test_it_is_flat_json_ld_with_both_contexts(bundle: Bundle) -> None:
    document = crate_of(bundle)
    assert set(document) == {"@context", "@graph"}
    assert document["@context"] == [
        "https://w3id.org/ro/crate/1.1/context",
        "https://w3id.org/ro/terms/workflow-run/context",
    ]
    for entity in document["@graph"]:
        assert isinstance(entity["@id"], str)
        assert entity["@type"]
        for name, value in entity.items():
            for item in value if isinstance(value, list) else [value]:
                assert isinstance(item, str) or set(item) == {"@id"}, (entity["@id"], name)
            assert not (isinstance(value, list) and len(value) < 2 and name != "@type"), f"{name} is not compact"


def test_every_id_stands_once_and_every_reference_leads_somewhere(bundle: Bundle) -> None:
    ids = [entity["@id"] for entity in crate_of(bundle)["@graph"]]
    assert len(ids) == len(set(ids))
    outside = {"https://w3id.org/ro/crate/1.1"}  # the specification itself, which the descriptor names
    for entity in crate_of(bundle)["@graph"]:
        for name, value in entity.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    assert item["@id"] in {*ids, *outside}, f"{entity['@id']}.{name}"


def test_ids_are_uri_references_that_stay_inside(bundle: Bundle) -> None:
    for name in graph(bundle):
        assert not set(name) & set(' <>"{}|\\^`'), name
        assert ".." not in name.split("/"), name
        assert not name.startswith("/"), name


# RO-Crate 1.1: descriptor and root


def test_the_descriptor(bundle: Bundle) -> None:
    descriptor = graph(bundle)["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}


def test_the_root_has_every_required_property(bundle: Bundle) -> None:
    entities = graph(bundle)
    root = entities["./"]
    assert root["@type"] == "Dataset"
    assert len(root["name"]) > 10
    assert len(root["description"]) > 10
    assert datetime.fromisoformat(root["datePublished"]).year >= 2024
    (licence,) = references(root, "license")
    assert entities[licence]["@type"] == "CreativeWork"
    assert entities[licence]["name"]
    assert entities[licence]["description"]


def test_the_date_is_the_attempts_own(toy_bundle: Bundle) -> None:
    root = graph(toy_bundle)["./"]
    assert root["datePublished"] == read_dossier(toy_bundle).attempt.finished


# RO-Crate 1.1: data entities


def test_every_file_is_described_with_size_and_digest(bundle: Bundle) -> None:
    entities = graph(bundle)
    described = {
        unquote(name) for name, entity in entities.items() if "File" in types(entity) and not urlsplit(name).scheme
    }
    assert described == set(bundle.files) - {"ro-crate-metadata.json", "SHA256SUMS"}
    for name in described:
        entity, content = entities[name], bundle.files[name]
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert entity["encodingFormat"].count("/") == 1
        assert entity["name"]
        assert entity["description"]


def test_data_entities_are_linked_from_the_root(bundle: Bundle) -> None:
    entities = graph(bundle)
    data = {name for name, entity in entities.items() if {"File", "Dataset"} & types(entity) and name != "./"}
    assert data == set(references(entities["./"], "hasPart"))


# Process Run Crate 0.5


def test_the_root_conforms_to_the_profile(bundle: Bundle) -> None:
    entities = graph(bundle)
    assert references(entities["./"], "conformsTo") == [PROFILE]
    assert entities[PROFILE]["@type"] == "CreativeWork"
    assert entities[PROFILE]["version"] == "0.5"


def test_every_action_has_an_instrument_and_is_mentioned(bundle: Bundle) -> None:
    entities = graph(bundle)
    found = actions(entities)
    assert {action["@id"] for action in found} == set(references(entities["./"], "mentions")) == {"#run", "#judging"}
    for action in found:
        (tool,) = references(action, "instrument")
        assert types(entities[tool]) & TOOLS
        assert entities[tool]["name"]
        assert action["name"]
        assert action["description"]


def test_objects_and_results_are_of_the_recommended_types(bundle: Bundle) -> None:
    entities = graph(bundle)
    for action in actions(entities):
        assert references(action, "result")
        for name in (*references(action, "object"), *references(action, "result")):
            assert types(entities[name]) & {"File", "Dataset", "Collection", "CreativeWork", "PropertyValue"}, name


def test_times_and_status(toy_bundle: Bundle) -> None:
    run = graph(toy_bundle)["#run"]
    attempt = read_dossier(toy_bundle).attempt
    assert (run["startTime"], run["endTime"]) == (attempt.started, attempt.finished)
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert "error" not in run
    assert "agent" not in run  # nobody said who ran it
    assert run["description"] == attempt.provenance["command"]


def test_a_failed_run_says_so(toy_bundle: Bundle) -> None:
    attempt = replace(read_dossier(toy_bundle).attempt, execution="failed", verdict=None, message="It broke.")
    entities = graph(remade(toy_bundle, attempt=attempt, figure=None))
    assert entities["#run"]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert entities["#run"]["error"] == "It broke."


def test_the_recipe_made_the_trials_from_data_and_config(toy_bundle: Bundle) -> None:
    entities = graph(remade(toy_bundle, data=DATA[:2]))
    run = entities["#run"]
    assert references(run, "instrument") == ["source/recipes.toys.draws.py"]
    assert types(entities["source/recipes.toys.draws.py"]) == {"File", "SoftwareSourceCode"}
    assert entities["source/recipes.toys.draws.py"]["version"] == "0123456789abcdef0123456789abcdef01234567"
    assert references(run, "result") == ["trials.jsonl"]
    direct, derived = "https://example.org/a%20b.csv", "#data/derived"
    assert references(run, "object") == [direct, derived, ".hydra/config.yaml"]
    assert entities[direct] == {
        "@id": direct, "@type": "File", "name": "direct", "sha256": "a" * 64, "license": "MIT", "description": "A table.",
    }  # fmt: skip
    assert entities[derived]["@type"] == "CreativeWork"
    assert entities[derived]["url"] == "https://example.org/page"
    assert entities[derived]["description"] == "Made from a page."


def test_this_project_made_the_verdict(toy_bundle: Bundle) -> None:
    entities = graph(toy_bundle)
    judging = entities["#judging"]
    assert references(judging, "instrument") == ["#repro-tracker"]
    assert entities["#repro-tracker"]["softwareVersion"]
    assert references(judging, "object") == ["seal.json", "trials.jsonl"]
    assert set(references(judging, "result")) == {"estimate.json", "verdict.json", "attempt.json", "figure.svg"}


def test_the_licence_is_ours_for_our_recipes_alone(toy_bundle: Bundle) -> None:
    assert references(graph(toy_bundle)["./"], "license") == ["#licence"]
    records = tuple(replace(r, recipe="experiments.x.y").with_digest() for r in read_dossier(toy_bundle).records)
    own = graph(remade(toy_bundle, records=records))
    assert references(own["./"], "license") == ["https://spdx.org/licenses/Apache-2.0"]


def test_rocrate_reads_it(bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "evidence.zip"
    file.write_bytes(bundle.packed)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert str(crate.root_dataset["name"]).startswith("Evidence of toy/")
    assert {action.id for action in crate.get_by_type("CreateAction")} == {"#run", "#judging"}
    for entity in crate.get_by_type("File"):
        if not urlsplit(entity.id).scheme:
            assert (tmp_path / "crate" / unquote(entity.id)).is_file()
