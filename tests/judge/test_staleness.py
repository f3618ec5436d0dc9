"""Reasons of staleness: every field that a seal has, and everything that trial keys cover, is named when it changes."""

import typing
from collections.abc import Mapping
from dataclasses import fields, replace

import pytest

from repro.judge.staleness import Stale, differences, read_stale, stale_text
from repro.schema.claim import Interval, Margin, Part, Rule, Target
from repro.schema.dataset import DataSet
from repro.schema.errors import StoreError
from repro.schema.trial import TrialSpec
from repro.schema.verdict import Sealed, SealedControl

PART = Part(
    Target("0.49", interval=Interval("0.46", "0.53", 0.8), sd="0.1", n=3, source="secondary", locator="Table 2"),
    Rule("equivalence", Margin(absolute=0.02), "Two hundredths matter.", {"others": "0.73"}),
)


def spec(**changes: object) -> TrialSpec:
    given: dict[str, object] = {
        "study": "topic/study",
        "recipe": "experiments.topic.study",
        "config": {"width": 64, "lr": 0.1, "seed": 0},
        "replicate": 0,
        "sources": "a" * 64,
        "device": "cpu",
        "precision": "float32",
        "data": (DataSet("corpus", "corpus.csv", "https://example.org/corpus.csv", "d" * 64),),
    }
    return TrialSpec(**{**given, **changes})  # type: ignore[arg-type]


def trials(*widths: int, **changes: object) -> list[TrialSpec]:
    return [spec(config={"width": width, "lr": 0.1, "seed": 0}, **changes) for width in widths]


def sealed(main: list[TrialSpec] | None = None, control: list[TrialSpec] | None = None, **changes: object) -> Sealed:
    main = trials(64, 128) if main is None else main
    control = [spec(config={"width": 64, "lr": 0.0, "seed": 0})] if control is None else control
    base = Sealed(
        claim="toy/slope",
        protocol="retrain",
        scale="gpu",
        kind="replication",
        parts={"value": PART},
        estimator="repro.stats.summary.mean_over_seeds",
        arguments={"column": "loss"},
        estimator_sources="e" * 64,
        resampling_unit="seed",
        study="topic/study",
        trials=tuple(item.key for item in main),
        replicates=(0,),
        max_replicates=1,
        controls={"untuned": SealedControl("mismatch", {"column": "loss"}, tuple(item.key for item in control))},
        decisive=("gpu", "paper"),
    )
    return replace(base, **changes)


def by_key(*arms: list[TrialSpec]) -> Mapping[str, TrialSpec]:
    return {item.key: item for arm in arms for item in arm}


CHANGED: dict[str, object] = {
    "claim": "toy/other",
    "protocol": "other",
    "scale": "cpu",
    "kind": "reproduction",
    "parts": {"value": replace(PART, target=Target("0.50"))},
    "estimator": "repro.stats.summary.measured_value",
    "arguments": {"column": "accuracy"},
    "estimator_sources": "f" * 64,
    "resampling_unit": "run",
    "study": "topic/other",
    "trials": ("k9",),
    "replicates": (0, 1),
    "max_replicates": 2,
    "controls": {},
    "decisive": ("paper",),
    "deterministic": True,
    "same_recipe": True,
    "looks": 2,
    "exclusions": ("runs that crashed",),
    "alpha": 0.01,
    "indicative": True,
    "version": 2,
}


@pytest.mark.parametrize("name", [field.name for field in fields(Sealed)])
def test_every_field_of_the_seal_gives_a_reason_when_it_changes(name: str) -> None:
    before = sealed()
    after = replace(before, **{name: CHANGED[name]})
    assert before.digest != after.digest
    for then, now in ((before, after), (after, before)):
        (reason, *more) = differences(then, now)
        assert reason.endswith(".")
        assert not more or name in ("parts",)
        assert reason != "Something that the seal covers has changed."


@pytest.mark.parametrize("kind", [Target, Rule, Part, SealedControl])
def test_every_field_of_what_a_seal_holds_gives_a_reason_of_its_own(kind: type) -> None:
    """A field that comes later must be named too: it is changed here by its type."""
    targets = {
        "printed": "0.48",
        "approximate": True,
        "interval": None,
        "sd": None,
        "n": 4,
        "source": "verified",
        "locator": "",
    }
    rules = {"kind": "at_least", "margin": Margin(relative=0.1), "because": "Other.", "rivals": {"others": "0.74"}}
    controls = {"expect": "differs", "arguments": {"column": "x"}, "trials": ("k8",)}
    changes = {
        Target: targets,
        Rule: rules,
        Part: {"target": Target("1"), "rule": Rule("exact")},
        SealedControl: controls,
    }
    assert set(changes[kind]) == {field.name for field in fields(kind)}
    seen = set()
    for name, value in changes[kind].items():
        before = sealed()
        if kind is SealedControl:
            after = replace(before, controls={"untuned": replace(before.controls["untuned"], **{name: value})})
        elif kind is Part:
            after = replace(before, parts={"value": replace(PART, **{name: value})})
        else:
            held = {Target: "target", Rule: "rule"}[kind]
            after = replace(
                before, parts={"value": replace(PART, **{held: replace(getattr(PART, held), **{name: value})})}
            )
        reasons = differences(before, after)
        assert reasons
        assert "Something" not in reasons[0]
        seen.add(reasons)
    assert len(seen) == len(changes[kind])


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"parts": {"value": replace(PART, target=replace(PART.target, printed="0.50"))}}, ["The published value was 0.49, now 0.50."]),
        (
            {"parts": {"value": replace(PART, rule=replace(PART.rule, margin=Margin(relative=0.1)))}},
            ["The margin was ± 0.02, now ± 10 %."],
        ),
        ({"parts": {"value": replace(PART, rule=replace(PART.rule, because="Else."))}}, ["The reason given for the margin was reworded."]),
        ({"parts": {"value": PART, "tall": PART}}, ["The part 'tall' was added."]),
        ({"decisive": ("paper",)}, ["The decisive scales were gpu and paper, now paper."]),
        ({"replicates": (0, 1, 2, 3)}, ["The seeds were 0, now 0 to 3."]),
        ({"arguments": {}}, ["The argument of the estimator 'column' was removed."]),
        ({"arguments": {"column": "y"}}, ["The argument 'column' of the estimator was loss, now y."]),
        ({"controls": {}}, ["The control 'untuned' was removed."]),
        ({"exclusions": ("crashes",)}, ["The exclusion 'crashes' was added."]),
        ({"alpha": 0.01}, ["The level α was 0.05, now 0.01."]),
        ({"deterministic": True}, ["Whether the study is deterministic was no, now yes."]),
    ],
)  # fmt: skip
def test_reasons_read_as_people_say_them(change: dict, reasons: list[str]) -> None:
    assert list(differences(sealed(), sealed(**change))) == reasons


def test_parts_are_named_where_there_are_several() -> None:
    then = sealed(parts={"low": PART, "high": PART})
    now = sealed(parts={"low": PART, "high": replace(PART, target=replace(PART.target, printed="0.5"))})
    assert differences(then, now) == ("The published value of 'high' was 0.49, now 0.5.",)


def test_what_changed_alike_in_several_parts_is_said_once() -> None:
    wider = replace(PART, rule=replace(PART.rule, margin=Margin(absolute=0.1)))
    names = ["a", "b", "c", "d", "e"]

    def of(count: int) -> tuple[str, ...]:
        then = sealed(parts=dict.fromkeys(names, PART))
        return differences(then, sealed(parts={n: wider if i < count else PART for i, n in enumerate(names)}))

    change = "was ± 0.02, now ± 0.1."
    assert of(2) == (f"The margin of 'a' and 'b' {change}",)
    assert of(3) == (f"The margin of 'a', 'b' and 'c' {change}",)
    assert of(4) == (f"The margin of 4 of 5 parts ('a', 'b', ...) {change}",)
    assert of(5) == (f"The margin of every part {change}",)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (trials(64, 128), trials(64, 256), "The config's 'width' was 64 and 128, now 64 and 256."),
        (trials(64), trials(64, device="cuda"), "The device was cpu, now cuda."),
        (trials(64), trials(64, precision="bfloat16"), "The precision was float32, now bfloat16."),
        (trials(64), trials(64, measures="time"), "The kind of measurement was value, now time."),
        (
            trials(64),
            trials(64, recipe="experiments.topic.other"),
            "The recipe was experiments.topic.study, now experiments.topic.other.",
        ),
        (
            trials(64),
            trials(64, sources="b" * 64),
            "The source of the recipe experiments.topic.study, or of a module that it imports, has changed.",
        ),
        (
            trials(64),
            trials(64, data=(DataSet("corpus", "c", "u", "0" * 64),)),
            "The data set 'corpus' is another file: its sha256 was dddddddddddd, now 000000000000.",
        ),
        (trials(64), trials(64, data=()), "The data set 'corpus' is no longer read."),
        (trials(64, data=()), trials(64), "The data set 'corpus' is read, which was not."),
        ([spec()], [spec(config={"width": 64, "seed": 0})], "The config has lost the field 'lr' (0.1)."),
        ([spec(config={"width": 64, "seed": 0})], [spec()], "The config has the new field 'lr' (0.1)."),
        (
            [spec(config={"a": 1, "b": 1}), spec(config={"a": 2, "b": 2})],
            [spec(config={"a": 1, "b": 2}), spec(config={"a": 2, "b": 1})],
            "The settings of the trials are combined otherwise.",
        ),
        (trials(64, 128), trials(128, 64), "The trials run in another order."),
    ],
)
def test_what_trial_keys_cover_is_named(old: list[TrialSpec], new: list[TrialSpec], reason: str) -> None:
    assert differences(sealed(old), sealed(new), by_key(old), by_key(new)) == (reason,)


def test_every_field_that_a_trial_key_covers_gives_a_reason() -> None:
    changes: dict[str, object] = {
        "recipe": "r2", "config": {"width": 65, "lr": 0.1, "seed": 0}, "sources": "c" * 64, "data": (),
        "device": "cuda", "precision": "float64", "replicate": 7, "measures": "time",
    }  # fmt: skip
    for field in fields(TrialSpec):
        if field.name not in changes:  # what a key does not cover changes no seal
            hints = typing.get_type_hints(TrialSpec)[field.name]
            other: object = {str: "other", bool: True}.get(hints, 1.0)
            assert spec(**{field.name: other}).key == spec().key, field.name
            continue
        old, new = [spec()], [spec(**{field.name: changes[field.name]})]
        assert old[0].key != new[0].key
        then, now = sealed(old), sealed(new, replicates=(new[0].replicate,))
        assert differences(then, now, by_key(old), by_key(new)), field.name


def test_a_changed_module_is_named_where_the_sources_were_kept() -> None:
    old, new = trials(64), trials(64, sources="b" * 64)
    given = by_key(old), by_key(new)
    sources = {"experiments.topic.study": "x = 1", "repro.lab.gpt": "y = 1"}
    reasons = differences(
        sealed(old), sealed(new), *given, then_sources=sources, now_sources={**sources, "repro.lab.gpt": "y = 2"}
    )
    assert reasons == ("The source of the module repro.lab.gpt has changed.",)
    reasons = differences(
        sealed(old), sealed(new), *given, then_sources=sources, now_sources={"experiments.topic.study": "x = 2"}
    )
    assert reasons == (
        "The source of the recipe experiments.topic.study has changed.",
        "The recipe no longer imports the module repro.lab.gpt.",
    )


def test_a_change_of_a_control_alone_names_it() -> None:
    main, old, new = trials(64), [spec(config={"lr": 0.0})], [spec(config={"lr": 1.0})]
    assert differences(sealed(main, old), sealed(main, new), by_key(main, old), by_key(main, new)) == (
        "Control 'untuned': The config's 'lr' was 0.0, now 1.0.",
    )


def test_a_change_of_all_arms_is_said_once() -> None:
    old, new = trials(64), trials(64, device="cuda")
    control_then, control_now = trials(32), trials(32, device="cuda")
    assert differences(
        sealed(old, control_then), sealed(new, control_now), by_key(old, control_then), by_key(new, control_now)
    ) == ("The device was cpu, now cuda.",)


def test_trials_that_are_not_here_any_more_are_said_to_be_others() -> None:
    assert differences(sealed(trials(64)), sealed(trials(65))) == (
        "The trials of the main arm are others; the old ones are not here to say in what.",
    )


def test_many_values_and_fields_are_counted() -> None:
    old = [spec(config={f"f{i}": i for i in range(9)})]
    new = [spec(config={f"f{i}": i + 1 for i in range(9)})]
    reasons = differences(sealed(old), sealed(new), by_key(old), by_key(new))
    assert len(reasons) == 7
    assert reasons[-1] == "3 more fields of the config changed."
    wide = trials(*range(20))
    (reason, count) = differences(sealed(wide), sealed(trials(1)), by_key(wide), by_key(trials(1)))
    assert reason == "The config's 'width' was 0, 1, 2, 3, 4 and 15 more values, now 1."
    assert count == "The main arm had 20 trials, now 1."


def test_equal_seals_give_no_reason_and_a_number_of_another_type_gives_one() -> None:
    assert differences(sealed(), sealed()) == ()
    assert sealed(arguments={"k": 1}).digest != sealed(arguments={"k": 1.0}).digest
    assert differences(sealed(arguments={"k": 1}), sealed(arguments={"k": 1.0})) == (
        "The argument 'k' of the estimator was 1, now 1.0.",
    )
    assert differences(sealed(arguments={"k": (1, 2)}), sealed(arguments={"k": [1, 2]})) == ()


def test_what_is_gone_is_said_as_given() -> None:
    assert differences(sealed(), None, gone="The claim is blocked now: no weights") == (
        "The claim is blocked now: no weights",
    )
    assert differences(sealed(), None) == ("What was sealed is no longer there.",)


def test_the_file_of_what_is_stale_round_trips() -> None:
    stale = {"a/b@p@cpu-00000000-1": Stale("f" * 64, ("The level α was 0.05, now 0.01.",)), "c": Stale(None, ("gone",))}
    assert read_stale(stale_text(stale), "stale.json") == stale


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"stale": {"a": 1}, "version": 1}', '{"stale": {}, "version": 1', "\x00"]
)
def test_a_damaged_file_of_what_is_stale_says_what_to_do(text: str) -> None:
    with pytest.raises(StoreError, match=r"Remove stale\.json"):
        read_stale(text, "stale.json")
