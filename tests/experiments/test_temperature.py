import math
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.code_generation.stack_programs import (
    BASE,
    BLANK,
    DEPTH,
    END,
    INPUTS,
    OPERATIONS,
    Tasks,
    interpret,
    passes,
    random_programs,
    random_tasks,
    text,
)
from experiments.code_generation.temperature import (
    START,
    Config,
    Writer,
    best_temperature,
    nucleus,
    pass_at_k,
    run,
    train,
    write,
)
from experiments.code_generation.temperature_estimators import temperature_rise
from repro.judge.part import judge_part
from repro.schema.claim import Part, Rule, Target
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from repro.schema.verdict import PartVerdict, Sealed
from trial_records import make_record

TINY = Config(
    d_model=16, n_head=2, steps=6, batch=8, tasks=3, samples=100, longest=3, shown=2, hidden=3, temperatures=(0.2, 1.0)
)


def on_a_list(program: list[int], inputs: list[int]) -> list[int] | None:
    """Run a program on a stack that is a Python list, its top last; None for an error."""
    stack = inputs[::-1]
    for op in program:
        if op == END:
            break
        name = OPERATIONS[op]
        try:
            if name == "dup":
                stack = [*stack, stack[-1]]
            elif name == "over":
                stack = [*stack, stack[-2]]
            elif name == "drop":
                stack.pop()
            elif name == "swap":
                stack[-1], stack[-2] = stack[-2], stack[-1]
            elif name == "rot":
                stack.append(stack.pop(-3))
            elif name == "inc":
                stack[-1] = (stack[-1] + 1) % BASE
            else:
                b, a = stack.pop(), stack.pop()
                stack.append((a + b if name == "add" else a - b) % BASE)
        except IndexError:
            return None
        if len(stack) > DEPTH:
            return None
    return stack[::-1] or None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, END), min_size=1, max_size=9),
    st.lists(st.integers(0, BASE - 1), min_size=INPUTS, max_size=INPUTS),
)
def test_the_interpreter_is_that_on_a_list(program: list[int], inputs: list[int]) -> None:
    output, ok = interpret(torch.tensor([program]), torch.tensor([[inputs]]))
    expected = on_a_list(program, inputs)
    assert bool(ok[0]) == (expected is not None)
    if expected is not None:
        assert output[0, 0].tolist() == expected + [BLANK] * (DEPTH - len(expected))


def test_many_programs_at_once_are_each_by_itself() -> None:
    draw = torch.Generator().manual_seed(0)
    programs = torch.randint(0, END + 1, (500, 6), generator=draw)
    inputs = torch.randint(0, BASE, (500, 3, INPUTS), generator=draw)
    outputs, ok = interpret(programs, inputs)
    for program, given_, output, fine in zip(
        programs.tolist(), inputs.tolist(), outputs.tolist(), ok.tolist(), strict=True
    ):
        for each, out in zip(given_, output, strict=True):
            expected = on_a_list(program, each)
            assert fine == (expected is not None)
            assert not fine or [digit for digit in out if digit != BLANK] == expected
    assert 0.05 < ok.float().mean() < 0.95


def test_random_programs_have_no_error_and_every_length() -> None:
    programs = random_programs(400, 5, torch.Generator().manual_seed(1))
    inputs = torch.zeros(400, 1, INPUTS, dtype=torch.int64)
    assert interpret(programs, inputs)[1].all()
    assert (programs != END).sum(1).unique().tolist() == [1, 2, 3, 4, 5]
    assert (programs[:, -1] == END).all()
    assert text(torch.tensor([0, 5, END, END])) == "dup inc"


def test_a_tasks_own_program_passes_and_another_does_not() -> None:
    tasks = random_tasks(50, 4, 8, torch.Generator().manual_seed(2))
    own = torch.arange(50)
    assert passes(tasks.programs, tasks, own).all()
    wrong = tasks.programs.clone()
    wrong[own, (wrong != END).sum(1) - 1] = OPERATIONS.index("inc")  # another last operation, but where it was inc
    same = (wrong == tasks.programs).all(1)
    assert passes(wrong, tasks, own)[same].all()
    assert passes(wrong, tasks, own)[~same].float().mean() < 0.3
    # What stands behind the end does not count, and equal programs of different tasks are not mixed up.
    longer = torch.cat([tasks.programs, torch.zeros(50, 1, dtype=torch.int64)], 1)
    both = passes(torch.cat([longer, longer]), tasks, torch.cat([own, own.flip(0)]))
    assert both[:50].all()
    assert not both[50:].all()


def test_with_the_cache_logits_are_those_of_the_whole_sequence() -> None:
    torch.manual_seed(0)
    model = Writer(TINY).eval()
    tasks = random_tasks(4, 3, 2, torch.Generator().manual_seed(0))
    tokens = torch.cat([torch.full((4, 1), START), tasks.programs[:, :-1]], 1)
    with torch.no_grad():
        whole = model.decode(torch.cat([model.prompt(tasks), model.tokens(tokens)], 1), 0)[0][:, model.slots :]
        _, cache = model.decode(model.prompt(tasks), 0)
        for place in range(3):
            logits, cache = model.decode(model.tokens(tokens[:, place, None]), model.slots + place, cache)
            assert torch.allclose(logits[:, 0], whole[:, place], atol=1e-5)


def test_the_loss_counts_a_program_up_to_its_first_end() -> None:
    torch.manual_seed(0)
    model = Writer(TINY)
    tasks = random_tasks(5, 3, 2, torch.Generator().manual_seed(3))
    before = torch.cat([torch.full((5, 1), START), tasks.programs[:, :-1]], 1)
    logits = model.decode(torch.cat([model.prompt(tasks), model.tokens(before)], 1), 0)[0][:, model.slots :]
    terms = [
        -logits[i, t].log_softmax(-1)[tasks.programs[i, t]]
        for i in range(5)
        for t in range(4)
        if END not in tasks.programs[i, :t].tolist()
    ]
    assert model.loss(tasks).item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_the_nucleus_is_the_smallest_set_that_holds_top_p() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.05, 0.97, 0.01, 0.01]]).log()
    assert torch.allclose(nucleus(logits, 1.0, 0.9)[0], torch.tensor([0.5, 0.3, 0.15, 0.0]) / 0.95, atol=1e-6)
    assert nucleus(logits, 1.0, 0.9)[1].tolist() == [0, 1, 0, 0]
    squared = logits.exp() ** 2 / (logits.exp() ** 2).sum(1, keepdim=True)
    assert torch.allclose(nucleus(logits, 0.5, 1.1), squared, atol=1e-6)  # T = ½ squares the odds


def test_programs_are_drawn_as_the_model_says() -> None:
    torch.manual_seed(1)
    config = Config(**{**vars(TINY), "samples": 4000})
    model = Writer(config).eval()
    tasks = random_tasks(2, 3, 2, torch.Generator().manual_seed(4))
    written = write(model, tasks, config, 0.7, torch.Generator().manual_seed(5)).view(2, 4000, -1)
    with torch.no_grad():
        x = torch.cat([model.prompt(tasks), model.tokens(torch.full((2, 1), START))], 1)
        expected = nucleus(model.decode(x, 0)[0][:, -1], 0.7, config.top_p)
    for task in range(2):
        share = torch.bincount(written[task, :, 0], minlength=START) / 4000
        assert torch.allclose(share, expected[task], atol=0.04)


def test_pass_at_k_is_the_share_of_subsets_with_a_solution() -> None:
    for n, c, k in [(6, 2, 3), (6, 0, 2), (6, 5, 2), (7, 1, 7)]:
        solved = [any(i < c for i in chosen) for chosen in combinations(range(n), k)]
        assert pass_at_k(n, torch.tensor([c]), k) == pytest.approx(sum(solved) / len(solved))


def test_a_shared_best_temperature_is_the_geometric_mean() -> None:
    assert best_temperature([0.1, 0.3, 0.2], (0.2, 0.4, 0.8)) == pytest.approx(0.4)
    assert best_temperature([0.3, 0.1, 0.3], (0.2, 0.4, 0.8)) == pytest.approx(0.4)


def test_training_lowers_the_loss() -> None:
    torch.set_num_threads(1)
    losses: list[float] = []
    config = Config(d_model=32, steps=150, batch=64, longest=2, shown=2)
    _, last = train(config, Context(on_curve=lambda name, step, value: losses.append(value)))
    assert last < 0.75 * losses[0]


def test_the_smallest_run_measures_every_column_and_repeats_itself() -> None:
    row = run(TINY, Context())
    assert row == run(TINY, Context())
    assert {row["best_1"], row["best_100"]} <= {best_temperature([1], (T,)) for T in (0.2, 1.0)} | {
        best_temperature([1, 1], (0.2, 1.0))
    }
    assert row["vacuous"] == (not 0.1 <= row["pass_1"] <= 0.6)
    assert row["pass_100_at_20"] >= row["pass_10_at_20"] >= row["pass_1_at_20"]
    assert row["flops"] > 0


def decided(few: list[float], many: list[float], vacuous: float = 0.0) -> PartVerdict:
    records = [
        make_record(i, {"best_1": a, "best_100": b, "vacuous": vacuous, "pass_1": 0.3})
        for i, (a, b) in enumerate(zip(few, many, strict=True))
    ]
    part = Part(Target("0", approximate=True, source="derived"), Rule("ordering"))
    sealed = Sealed(
        claim="a/b", protocol="p", scale="cpu", kind="conceptual_replication", parts={"value": part}, estimator="e",
        arguments={}, estimator_sources="", resampling_unit="seed", study="s", trials=(), replicates=(),
        max_replicates=len(few), controls={}, decisive=("cpu",),
    )  # fmt: skip
    return judge_part(part, temperature_rise(records, least=math.log(4) / 4), sealed)


def test_a_rise_in_every_seed_matches_whether_or_not_it_is_the_same() -> None:
    assert decided([0.2] * 8, [0.8] * 8).outcome == "match"
    assert decided([0.2, 0.4] * 4, [0.8, 0.6, 1.0, 0.8] * 2).outcome == "match"


def test_one_sample_against_one_sample_is_a_mismatch() -> None:
    assert decided([0.2] * 8, [0.2] * 8).outcome == "mismatch"
    assert decided([0.2] * 8, [0.2] * 7 + [0.4]).outcome == "mismatch"


def test_half_of_the_seeds_rising_decides_nothing() -> None:
    verdict = decided([0.2] * 8, [0.4, 0.2] * 4)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "underpowered")


def test_vacuous_and_diverged_trials_decide_nothing() -> None:
    assert decided([0.2] * 8, [0.8] * 8, vacuous=1.0).reason == "no_estimate"
    assert decided([0.2] * 8, [0.8] * 7 + [math.nan]).reason == "diverged"


def test_a_column_that_was_not_measured_is_refused() -> None:
    with pytest.raises(EstimateError, match="measured no 'best_1'"):
        temperature_rise([make_record(0, {"best_10": 1.0})])
    with pytest.raises(EstimateError, match="one trial a seed"):
        temperature_rise([])


def test_the_estimate_says_what_it_rests_on() -> None:
    records = [make_record(i, {"best_1": 0.2, "best_100": 0.8, "vacuous": 0.0, "pass_1": 0.3}) for i in range(5)]
    found = temperature_rise(records)
    assert found.value == pytest.approx(math.log(4))
    assert found.units == (3.0,) * 5
    assert found.extras["T_many"] == pytest.approx(0.8)
    assert isinstance(random_tasks(1, 1, 1, torch.Generator()), Tasks)
