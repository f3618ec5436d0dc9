"""`repro watch`: frames, lines in a pipe, and when it ends."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.cli import watch_command
from repro.cli.watch_view import bar
from sealed_here import HOME_RECORDS, runs, seal, work
from tests_support import STUDY

BROKEN = STUDY.replace("spread: 0.05", "spread: 0.05, crash: always")
ESCAPE = "\x1b"


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterator[object]], None]:
    """Return a function that takes what is to happen between the looks, step by step."""
    monkeypatch.setattr(watch_command, "SETTLED_S", 0.0)

    def take(steps: Iterator[object]) -> None:
        def pause(_: float) -> None:
            if next(steps, self) is self:
                pytest.fail("it still watches, and nothing is left to happen")

        self = object()
        monkeypatch.setattr(watch_command, "_pause", pause)

    return take


def test_one_frame_in_80_columns_without_colour(write_claims, repro) -> None:
    write_claims()
    first, second, *_ = (spec.key for spec in seal().trials)
    assert work(first) == 0
    with runs(second, done=0.25):
        code, out, errors = repro("watch", "--once", columns=80)
    assert (code, errors) == (0, "")
    assert ESCAPE not in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert re.search(r"█+░+  31 %", out)  # one and a quarter of four
    assert "1 of 4 trials done, 1 running, 2 waiting" in out
    assert re.search(r"^… █████░░░░░░░░░░░░░░░  25 %  n=8  3 min 0\d s left$", out, re.MULTILINE), out
    assert re.search(r"✓ .*seed=\d: finished in .* s, at \d\d:\d\d", out)
    assert "… 1 running, 1 of 4 done, left" in out


def test_lines_in_a_pipe_until_all_is_done(write_claims, repro, meanwhile) -> None:
    write_claims()
    keys = [spec.key for spec in seal().trials]

    def happens() -> Iterator[None]:
        for key in keys:
            with runs(key):
                yield
            assert work(key) == 0
            yield

    meanwhile(happens())
    code, out, errors = repro("watch", "toy/*")
    assert (code, errors) == (0, "")
    assert ESCAPE not in out
    lines = out.splitlines()
    assert lines[0].endswith("0 of 4 trials done, 4 waiting")
    assert any("0 of 4 trials done, 1 running, 3 waiting" in line for line in lines)
    assert lines[-1].endswith("4 of 4 trials done")
    assert len(lines) == len({line[6:].partition(";")[0] for line in lines}), "a line for nothing new"


def test_it_ends_with_3_when_trials_failed(write_claims, repro, meanwhile) -> None:
    write_claims(study=BROKEN)
    seal()
    meanwhile(iter([work]))  # only so that two looks are taken
    assert work() == 3
    code, out, errors = repro("watch")
    assert (code, errors) == (3, "")
    assert out.count("RuntimeError: the machine gave up") == 4


def test_a_failed_trial_that_is_tried_again_is_waited_for(write_claims, repro, meanwhile, monkeypatch) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", "spread: 0.05, crash: once"))
    keys = [spec.key for spec in seal().trials]
    monkeypatch.setattr(watch_command, "SETTLED_S", 60.0)

    def happens() -> Iterator[None]:
        assert work() == 3  # the first trial fails once
        yield
        with runs(keys[0]):
            yield
        assert work() == 0
        yield

    meanwhile(happens())
    monkeypatch.setattr(watch_command, "SETTLED_S", 60.0)
    code, out, _ = repro("watch")
    assert code == 0
    assert "1 failed" in out
    assert out.splitlines()[-1].endswith("4 of 4 trials done")


def test_ctrl_c_leaves_quietly(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    write_claims()
    seal()
    monkeypatch.setattr(watch_command, "_pause", interrupted)
    code, out, errors = repro("watch")
    assert (code, errors) == (130, "")
    assert out.count("\n") == 1


def test_live_in_a_terminal(write_claims, repro, meanwhile, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    keys = [spec.key for spec in seal().trials]

    def happens() -> Iterator[None]:
        with runs(keys[0]):
            yield
        assert work() == 0
        yield

    meanwhile(happens())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "24")
    code, out, _ = repro("watch", columns=80)
    assert code == 0
    assert ESCAPE in out
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out)
    assert "1 running" in plain
    assert "4 of 4 trials done" in plain.rpartition("100 %")[2]


def test_attempts_that_stand_still_hold_nothing_up(write_claims, repro, meanwhile) -> None:
    write_claims()
    seal(counter=2, first=7)  # that nobody runs
    plan = seal()
    keys = [spec.key for spec in plan.trials]

    def happens() -> Iterator[None]:
        with runs(keys[0]):
            yield
        assert work() == 0
        yield

    meanwhile(happens())
    code, out, _ = repro("watch")
    assert code == 0
    assert "waiting" in out.splitlines()[-1]


def test_a_worker_elsewhere_is_watched_by_its_plan(write_claims, repro, tmp_path: Path, monkeypatch) -> None:
    write_claims()
    seal()
    assert work(records=tmp_path / "there") == 0
    monkeypatch.setenv("REPRO_HOME", str(tmp_path / "nothing here"))
    code, out, _ = repro("watch", "--records", "there", "--plan", "plan.json")
    assert code == 0
    assert out.endswith("4 of 4 trials done\n")
    code, _, errors = repro("watch", "--records", "there")
    assert code == 2
    assert "--records and --plan go together" in errors
    code, _, errors = repro("watch", "--records", "there", "--plan", "absent.json")
    assert code == 2
    assert "There is no plan file absent.json" in errors


def test_a_plan_that_comes_later_is_seen(write_claims, repro, meanwhile) -> None:
    write_claims()
    seal()
    assert work() == 0

    def happens() -> Iterator[None]:
        seal(counter=2, seeds=3)
        yield
        with runs(seal(counter=2, seeds=3).trials[-1].key):
            yield
        assert work() == 0
        yield

    meanwhile(happens())
    HOME_RECORDS.joinpath(f"{seal().trials[0].key}.json").unlink()
    code, out, _ = repro("watch")
    assert code == 0
    assert "of 6 trials done" in out


def test_nothing_to_watch(write_claims, repro) -> None:
    write_claims()
    assert repro("watch") == (0, "Nothing was launched from this directory yet. Start with: repro demo\n", "")


@pytest.mark.parametrize(
    ("part", "shown"), [(0.0, "...."), (0.49, "#..."), (0.5, "##.."), (1.0, "####"), (1.2, "####")]
)
def test_a_bar(part: float, shown: str) -> None:
    assert bar(part, 4, True) == shown


def test_help_teaches_by_example(repro) -> None:
    code, out, _ = repro("watch", "--help")
    assert code == 0
    assert "repro watch --once" in out.partition("Example")[2]
