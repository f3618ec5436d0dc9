"""From outlines and one look at the records to what is done, running, failed and waiting, with times."""

from dataclasses import replace

import pytest

from repro.launch.course.expected import expectation
from repro.launch.course.survey import left_of, missing, survey, tally_of
from repro.launch.planning.outlines import Outline, PlannedTrial
from repro.launch.records.glimpses import Glimpse, Look, Running

NOW = 10_000.0
KEYS = [f"{number:040x}" for number in range(8)]


def trial(number: int, cost: float | None = None, device: str = "cpu", size: int = 1) -> PlannedTrial:
    config = {"size": size, "seed": number}
    return PlannedTrial(KEYS[number], f"size={size} seed={number}", "recipes.toy", device, "float32", config, cost)


def ended(number: int, started: float = 0.0, seconds: float = 10.0, **changes: object) -> Glimpse:
    planned = trial(number)
    fields: dict = {
        "key": planned.key, "status": "finished", "started": started, "seconds": seconds, "recipe": planned.recipe,
        "device": "cpu", "precision": "float32", "config": planned.config, "flops": 0.0, "label": planned.label, "error": "",
        "where": "m",
    }  # fmt: skip
    return Glimpse(**{**fields, **changes})


def look(
    *records: Glimpse, failed: tuple[Glimpse, ...] = (), running: tuple[Running, ...] = (), damaged: dict | None = None,
    stopped: frozenset[str] = frozenset(),
) -> Look:  # fmt: skip
    def by_key(found: tuple[Glimpse, ...]) -> dict[str, tuple[Glimpse, ...]]:
        return {each.key: tuple(other for other in found if other.key == each.key) for each in found}

    return Look(NOW, by_key(records), by_key(failed), {each.key: each for each in running}, damaged or {}, stopped)


def running(number: int, done: float = 0.0, since: float | None = None) -> Running:
    return Running(KEYS[number], f"seed={number}", done, since)


def outline(*numbers: int, name: str = "toy/mean@replicate@cpu-abcdef01-1", **changes: object) -> Outline:
    trials = {KEYS[number]: trial(number) for number in numbers}
    command = "repro run toy/mean scale=cpu"
    return replace(Outline(name, "toy/mean", trials, "2024-01-01T00:00:00+00:00", command), **changes)


def tally(seen: Look, *numbers: int, decided: bool = False, device: str = "cpu", cost: float | None = None):
    trials = {KEYS[number]: trial(number, cost, device) for number in numbers}
    return tally_of(trials, seen, expectation(seen, list(trials.values())), decided)


def test_every_trial_is_in_one_state() -> None:
    seen = look(
        ended(0), ended(1, status="diverged"), ended(3),
        failed=(ended(2, status="failed", error="gave up"), ended(3, status="failed", error="once")),
        running=(running(4, 0.5),),
    )  # fmt: skip
    found = tally(seen, 0, 1, 2, 3, 4, 5)
    assert (found.done, found.diverged, len(found.running), found.failed, found.waiting) == (3, 1, 1, 1, 1)
    assert found.done + len(found.running) + found.failed + found.waiting + found.spared == found.trials
    assert [(each.label, each.times, each.error) for each in found.failures] == [("size=1 seed=2", 1, "gave up")]


def test_a_failed_trial_that_runs_again_is_running() -> None:
    found = tally(look(failed=(ended(0, status="failed", error="x"),), running=(running(0),)), 0)
    assert (len(found.running), found.failed) == (1, 0)


def test_a_timing_that_another_machine_has_and_this_one_takes_is_running() -> None:
    found = tally(look(ended(0), running=(running(0, 0.5),)), 0)
    assert (found.done, len(found.running)) == (0, 1)


def test_failed_runs_cost_time_too() -> None:
    gpu = {"device": "cuda"}
    found = tally(
        look(ended(0, 0, 10), ended(1, 10, 20, **gpu), failed=(ended(1, 5, 5, status="failed", **gpu),)), 0, 1
    )
    assert (found.seconds, found.gpu_seconds, found.since, found.last, found.wall_s) == (35, 25, 0, 30, 30)


@pytest.mark.parametrize(
    ("planned", "seen", "seconds"),
    [
        (trial(5), [ended(0, seconds=10), ended(1, seconds=20)], 15.0),  # of its own cell
        (trial(5, cost=100.0, size=2), [ended(0, seconds=10, flops=50.0)], 20.0),  # at the speed of its recipe
        (trial(5, size=2), [ended(0, seconds=10), ended(1, seconds=20)], 15.0),  # as its recipe took on average
        (trial(5, cost=100.0, size=2), [ended(0, seconds=10)], 10.0),  # its recipe counted no FLOPs
        (trial(5, device="cuda"), [ended(0, seconds=10)], None),  # on another device
        (trial(5), [], None),
    ],
)
def test_how_long_a_trial_is_expected_to_take(
    planned: PlannedTrial, seen: list[Glimpse], seconds: float | None
) -> None:
    assert expectation(look(*seen), [planned])(planned) == seconds


def test_what_is_left_counts_running_trials_by_what_they_still_need() -> None:
    found = tally(look(ended(0, seconds=10), running=(running(1, 0.75),)), 0, 1, 2)
    assert found.left_s == pytest.approx(2.5 + 10)


def test_without_an_earlier_trial_a_running_one_tells_by_its_own_pace() -> None:
    alone = tally(look(running=(running(0, 0.5, NOW - 30),)), 0)
    assert alone.left_s == pytest.approx(30)
    assert alone.ends_in_s == pytest.approx(30)
    more = tally(look(running=(running(0, 0.5, NOW - 30),)), 0, 1)
    assert (more.left_s, more.unknown, more.ends_in_s) == (pytest.approx(30), 1, None)


def test_nothing_known_is_said_to_be_unknown() -> None:
    found = tally(look(), 0, 1, device="cuda")
    assert (found.left_s, found.left_gpu_s, found.unknown, found.ends_in_s) == (None, None, 2, None)
    assert tally(look(), 0).left_gpu_s == 0


def test_two_workers_end_in_half_the_time() -> None:
    one_by_one = [ended(0, 0, 10), ended(1, 10, 10), ended(2, 20, 10)]
    two_workers = [ended(0, 0, 10), ended(1, 0, 10), ended(2, 10, 10), ended(3, 10, 10)]
    assert tally(look(*one_by_one, running=(running(4),)), *range(6)).ends_in_s == pytest.approx(30)
    assert tally(look(*two_workers, running=(running(4), running(5))), *range(6)).ends_in_s == pytest.approx(10)


def test_shares_of_a_stack_do_not_count_as_workers() -> None:
    stack = [ended(0, 0, 5), ended(1, 5, 5)]  # side by side on one device: starts follow one another
    found = tally(look(*stack, running=(running(2), running(3))), *range(4))
    assert found.ends_in_s == pytest.approx(10)


def test_a_pause_between_two_launches_makes_nobody_slower() -> None:
    found = tally(look(ended(0, 0, 10), ended(1, 5000, 10), running=(running(2),)), 0, 1, 2)
    assert found.ends_in_s == pytest.approx(10)


def test_trials_a_minute_are_those_of_the_last_minutes() -> None:
    records = [ended(number, NOW - 60 + 10 * number, 10) for number in range(5)]
    assert tally(look(*records), *range(5)).a_minute == pytest.approx(6)
    assert tally(look(ended(0, 0, 1), ended(1, NOW - 1, 1)), 0, 1).a_minute is None
    assert tally(look(), 0).a_minute is None


@pytest.mark.parametrize(
    ("each", "left"),
    [
        (running(0, 0.5, NOW - 10), 10.0),
        (running(0, 1.0, NOW - 10), 0.0),
        (running(0, 0.0, NOW - 10), None),
        (running(0, 0.5, None), None),
        (running(0, 0.5, NOW + 3600), 0.0),  # its machine's clock is ahead
    ],
)
def test_the_time_left_of_a_running_trial(each: Running, left: float | None) -> None:
    assert left_of(each, NOW) == left


@pytest.mark.parametrize(
    ("seen", "judged", "command", "state"),
    [
        (look(ended(0), ended(1)), "completed", "repro run x", "done"),
        (look(ended(0)), "completed", "repro run x", "done"),  # an early look decided
        (look(ended(0), running=(running(1),)), None, "repro run x", "running"),
        (look(ended(0), failed=(ended(1, status="failed"),)), "failed", "repro run x", "failed"),
        (look(ended(0), ended(1)), None, "repro run x", "to judge"),
        (look(ended(0)), None, "repro run x", "stopped"),
        (look(), None, "repro run x", "planned"),
        (look(), None, "repro plan x", "elsewhere"),
        (look(), None, "repro run x executor=detached", "elsewhere"),
    ],
)
def test_the_state_of_an_attempt(seen: Look, judged: str | None, command: str, state: str) -> None:
    planned = outline(0, 1, command=command)
    (course,), _ = survey([planned], seen, {planned.attempt: judged} if judged else {})
    assert course.state == state
    assert bool(course.again) == (state not in ("done", "running"))


def test_what_an_early_look_spared_is_not_left() -> None:
    planned = outline(0, 1, 2)
    seen = look(ended(0))
    found, whole = survey([planned], seen, {planned.attempt: "completed"})
    assert (found[0].tally.spared, found[0].tally.waiting, found[0].tally.left_s) == (2, 0, 0)
    assert whole.waiting == 0


def test_shared_trials_count_once_in_the_sum() -> None:
    planned = [outline(0, 1, 2), outline(1, 2, 3, name="toy/other@replicate@cpu-abcdef02-1")]
    seen = look(ended(1), ended(2))
    _, whole = survey(planned, seen, {})
    assert (whole.trials, whole.done, whole.waiting, whole.seconds, whole.left_s) == (4, 2, 2, 20, 20)
    assert {each.key for each in missing(planned, seen)} == {KEYS[0], KEYS[3]}


def test_the_command_that_goes_on_names_the_right_attempt() -> None:
    first = outline(0, 1, seeds=6)
    again = outline(2, 3, name="toy/mean@replicate@cpu-abcdef02-2", seeds=6, indicative=True)
    larger = outline(4, 5, name="toy/mean@replicate@cpu-abcdef03-3", seeds=9)
    found = {course.outline.attempt: course.again for course in survey([larger, again, first], look(), {})[0]}
    assert found[first.attempt] == "repro run toy/mean scale=cpu"
    assert found[again.attempt] == "repro run toy/mean scale=cpu --new-seeds --indicative"
    assert found[larger.attempt] == "repro run toy/mean scale=cpu"
    assert outline(0, command="repro run toy/* scale=cpu").again() == "repro run 'toy/*' scale=cpu"
    assert outline(0, command="somebody").again() == ""


def test_nothing_is_to_be_done_while_its_command_still_runs() -> None:
    failed = outline(0, 1)
    runs = outline(2, 3, name="toy/other@replicate@cpu-abcdef02-1")
    seen = look(failed=(ended(0, status="failed"),), running=(running(2),))
    assert [course.again for course in survey([failed, runs], seen, {})[0]] == ["", ""]
    other = replace(runs, command="repro run toy/other")
    assert survey([failed, other], seen, {})[0][0].again == "repro run toy/mean scale=cpu"


def test_damaged_and_stopped_trials_are_counted() -> None:
    found = tally(
        look(ended(0), damaged={KEYS[0]: 1, KEYS[1]: 2, KEYS[7]: 1}, stopped=frozenset({KEYS[0], KEYS[1]})), 0, 1
    )
    assert (found.damaged, found.stopped) == (3, 1)
