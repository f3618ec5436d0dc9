"""What surrounds the recording, with a recording that calls the step again; and on a GPU the real one."""

import contextlib
from collections.abc import Iterator

import pytest
import torch

from repro.lab.cuda_graph import WARM_UP, replayed


class Step:
    """Adds its argument to `total`, and returns the new total in one place, as a recording does."""

    def __init__(self, device: str = "cpu") -> None:
        self.total, self.result = torch.full((3,), 5.0, device=device), torch.zeros(3, device=device)
        self.calls = 0
        self.given: tuple[torch.Tensor, ...] = ()

    def __call__(self, *given: torch.Tensor) -> torch.Tensor:
        self.calls, self.given = self.calls + 1, given
        self.total += given[0] * given[1]
        return self.result.copy_(self.total)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Step:
    step = Step()

    class Stream:
        def wait_stream(self, other: object) -> None: ...

    class Graph:
        def replay(self) -> None:
            step(*step.given)

    @contextlib.contextmanager
    def context(_: object) -> Iterator[None]:
        yield

    for name, value in {"Stream": Stream, "current_stream": Stream, "CUDAGraph": Graph}.items():
        monkeypatch.setattr(torch.cuda, name, value)
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, context)
    return step


def test_recording_leaves_what_a_step_changes_as_it_was(recording: Step) -> None:
    replayed(recording, [torch.ones(3), torch.ones(3)], [recording.total])
    assert recording.calls == WARM_UP + 1
    assert recording.total.tolist() == [5.0] * 3


def test_a_replay_reads_the_new_arguments_and_leaves_the_callers_alone(recording: Step) -> None:
    example = [torch.ones(3), torch.ones(3)]
    step = replayed(recording, example, [recording.total])
    assert step(torch.arange(3.0), torch.full((3,), 2.0)).tolist() == [5.0, 7.0, 9.0]
    assert step(torch.ones(3), torch.ones(3)).tolist() == [6.0, 8.0, 10.0]
    assert all(each.tolist() == [1.0] * 3 for each in example)


def test_a_call_with_too_few_arguments_is_refused(recording: Step) -> None:
    step = replayed(recording, [torch.ones(3), torch.ones(3)], [recording.total])
    with pytest.raises(ValueError, match="shorter"):
        step(torch.ones(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_real_recording_replays() -> None:
    step = Step("cuda")
    ones = torch.ones(3, device="cuda")
    replay = replayed(step, [ones, ones], [step.total])
    assert replay(2 * ones, ones).tolist() == [7.0] * 3
    assert replay(ones, ones).tolist() == [8.0] * 3
    assert step.calls == WARM_UP + 1
