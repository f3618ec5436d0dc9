"""A bundle described as a Process Run RO-Crate, so that programs that know nothing of this project can read what lies where.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) and Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process/0.5). Two actions: the
recipe made the trials, and this project judged them. No clock is read and no id is drawn: equal dossiers give equal bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from repro.cite.evidence.dossier import SOURCE_PREFIX, TRIALS_FILE, Dossier
from repro.cite.evidence.file_guide import media_type, what_it_is
from repro.judge.reading import reading
from repro.ledger.content import ATTEMPT_FILE, CONFIG_FILE, FIGURE_FILE
from repro.schema.dataset import DataSet

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

CRATE_FILE = "ro-crate-metadata.json"
CRATE_VERSION = "1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
PROFILE_CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
"""Defines `sha256`, which RO-Crate 1.1 does not."""

LICENCE = "https://spdx.org/licenses/Apache-2.0"
"""Of this project, and so of its recipes."""
OWN_RECIPES = "experiments."
_SCHEMA = "http://schema.org/"


def crate_metadata(dossier: Dossier, files: Mapping[str, bytes]) -> bytes:
    """Return `ro-crate-metadata.json`.

    Args:
        dossier: what the bundle is about.
        files: every other file of the bundle, but for the list of checksums.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version=CRATE_VERSION)
    crate.metadata.extra_contexts.append(PROFILE_CONTEXT)
    parts = {name: _file(crate, name, content) for name, content in sorted(files.items())}
    data = [_data_set(crate, item) for item in dossier.data]
    run = _run(crate, dossier, parts, data)
    judging = _judging(crate, dossier, parts)
    _describe_root(crate, dossier, [run, judging])
    return _written(crate)


def _file(crate: "ROCrate", name: str, content: bytes) -> "Entity":
    from rocrate.model.file import File

    properties: dict[str, Any] = {
        "name": name,
        "description": what_it_is(name),
        "encodingFormat": media_type(name),
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if name.startswith(SOURCE_PREFIX):
        properties["@type"] = ["File", "SoftwareSourceCode"]
        properties["programmingLanguage"] = "Python"
    entity: Entity = crate.add(File(crate, dest_path=name, properties=properties))
    return entity


def _data_set(crate: "ROCrate", data: DataSet) -> "Entity":
    """Describe a data set where it lies on the web; one that no address serves is described by a local name."""
    from rocrate.model.file import File

    properties: dict[str, Any] = {"name": data.id, "sha256": data.sha256}
    if data.note:
        properties["description"] = " ".join(data.note.split())
    if data.licence:
        properties["license"] = data.licence
    entity: Entity
    if not data.derived and _is_on_the_web(data.url) and crate.get(_uri(data.url)) is None:
        entity = crate.add(File(crate, source=_uri(data.url), properties=properties))
        return entity
    if data.url:
        properties["url"] = data.url
    return _add(crate, f"#data/{data.id}", "CreativeWork", properties)


def _run(crate: "ROCrate", dossier: Dossier, parts: Mapping[str, "Entity"], data: list["Entity"]) -> "Entity":
    """Describe that the recipe ran and made the trials."""
    attempt = dossier.attempt
    properties: dict[str, Any] = {
        "name": f"Trials of {attempt.id}",
        "description": str(attempt.provenance.get("command") or "repro run"),
        "object": [*data, parts[CONFIG_FILE]],
        "result": parts[TRIALS_FILE],
        "actionStatus": _SCHEMA + ("FailedActionStatus" if attempt.execution == "failed" else "CompletedActionStatus"),
    }
    if attempt.execution == "failed" and attempt.message:
        properties["error"] = attempt.message
    if attempt.started:
        properties["startTime"] = attempt.started
    if attempt.finished:
        properties["endTime"] = attempt.finished
    recipe = f"{SOURCE_PREFIX}{dossier.records[0].recipe}.py" if dossier.records else ""
    if recipe in parts:
        parts[recipe]["version"] = str(attempt.provenance.get("commit") or dossier.records[0].sources)
        properties["instrument"] = parts[recipe]
    else:
        properties["instrument"] = _software(crate, dossier)
    return _add(crate, "#run", "CreateAction", properties)


def _judging(crate: "ROCrate", dossier: Dossier, parts: Mapping[str, "Entity"]) -> "Entity":
    """Describe that this project turned the trials into estimate and verdict."""
    made = ("estimate.json", "verdict.json", ATTEMPT_FILE, FIGURE_FILE)
    properties = {
        "name": f"Verdict of {dossier.attempt.id}",
        "description": f"The sealed rule and estimator ({dossier.attempt.sealed.estimator}) applied to the trials.",
        "instrument": _software(crate, dossier),
        "object": [parts["seal.json"], parts[TRIALS_FILE]],
        "result": [parts[name] for name in made if name in parts],
        "actionStatus": _SCHEMA + "CompletedActionStatus",
    }
    return _add(crate, "#judging", "CreateAction", properties)


def _software(crate: "ROCrate", dossier: Dossier) -> "Entity":
    properties = {"name": "repro-tracker", "description": "Seals, runs and judges reproductions of published claims."}
    packages = dossier.attempt.provenance.get("packages")
    version = packages.get("repro-tracker") if isinstance(packages, Mapping) else None
    if version:
        properties["softwareVersion"] = str(version)
    known: Entity | None = crate.get("#repro-tracker")
    return known if known is not None else _add(crate, "#repro-tracker", "SoftwareApplication", properties)


def _describe_root(crate: "ROCrate", dossier: Dossier, actions: list["Entity"]) -> None:
    attempt, root = dossier.attempt, crate.root_dataset
    profile = {"name": "Process Run Crate", "version": PROFILE.rpartition("/")[2]}
    root["conformsTo"] = _add(crate, PROFILE, "CreativeWork", profile)
    root["name"] = f"Evidence of {attempt.id}"
    root["description"] = f"{_sentence(dossier.claim.statement)} Verdict: {reading(attempt)}."
    root["datePublished"] = attempt.finished or attempt.started
    root["license"] = _licence(crate, dossier)
    root["citation"] = _paper(crate, dossier)
    root["identifier"] = attempt.id
    root["mentions"] = actions


def _licence(crate: "ROCrate", dossier: Dossier) -> "Entity":
    if all(record.recipe.startswith(OWN_RECIPES) for record in dossier.records):
        text = "Recipe and description are under this licence. Papers and data sets that are named keep their own."
        return _add(crate, LICENCE, "CreativeWork", {"name": "Apache License 2.0", "description": text})
    text = "Whoever made this evidence stated no licence for the recipe. Papers and data sets that are named keep their own."
    return _add(crate, "#licence", "CreativeWork", {"name": "No licence stated", "description": text})


def _paper(crate: "ROCrate", dossier: Dossier) -> "Entity":
    paper = dossier.paper
    people = [
        _add(crate, f"#author/{i}", "Person", {"name": name}) for i, name in enumerate(dict.fromkeys(paper.authors), 1)
    ]
    properties: dict[str, Any] = {"name": paper.title, "author": people, "datePublished": str(paper.year)}
    if paper.venue:
        properties["description"] = paper.venue
    links = [
        f"https://doi.org/{paper.doi}" if paper.doi else "",
        f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else "",
        paper.url or "",
    ]
    found = [link for link in links if link]
    place = _uri(found[0]) if found and _is_on_the_web(found[0]) else f"#paper/{paper.id}"
    return _add(crate, place if crate.get(place) is None else f"#paper/{paper.id}", "ScholarlyArticle", properties)


def _add(crate: "ROCrate", identifier: str, kind: str, properties: Mapping[str, Any]) -> "Entity":
    """Add a contextual entity; lists of one become the one, as RO-Crate's compact form wants."""
    from rocrate.model.contextentity import ContextEntity

    entity: Entity = crate.add(ContextEntity(crate, _uri(identifier), properties={"@type": kind}))
    for name, value in properties.items():
        if value != []:
            entity[name] = value[0] if isinstance(value, list) and len(value) == 1 else value
    return entity


def _uri(text: str) -> str:
    """Return a URI reference without characters that none may have."""
    return quote(text.strip(), safe=":/?#[]@!$&'()*+,;=%~")


def _is_on_the_web(address: str) -> bool:
    try:
        place = urlsplit(_uri(address))
    except ValueError:
        return False
    return place.scheme in ("http", "https") and bool(place.hostname)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _written(crate: "ROCrate") -> bytes:
    """Return the graph in one order: the descriptor, the root, the rest by id."""
    document = crate.metadata.generate()
    first = (CRATE_FILE, "./")
    document["@graph"] = sorted(
        (_compact(entity) for entity in document["@graph"]),
        key=lambda entity: (first.index(entity["@id"]) if entity["@id"] in first else len(first), entity["@id"]),
    )
    return (json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _compact(entity: Mapping[str, Any]) -> dict[str, Any]:
    def sort_key(item: Any) -> str:
        return str(item["@id"] if isinstance(item, dict) else item)

    def ordered(items: Iterable[Any]) -> list[Any]:
        return sorted(items, key=sort_key)

    return {**entity, **({"hasPart": ordered(entity["hasPart"])} if "hasPart" in entity else {})}
