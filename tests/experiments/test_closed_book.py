from dataclasses import replace

import pytest
import torch

from experiments.language_models import published_tables
from experiments.language_models.closed_book import (
    Config,
    answers,
    cost,
    draw_keys,
    draw_values,
    prompt_of,
    retrieve,
    run,
    shape_of,
    shuffled,
)
from repro.lab.transformer import Transformer
from repro.schema.context import Context

TINY = Config(
    facts=40, added=10, key_length=3, symbols=8, values=4, passages=2, n_layer=1, d_model=16, n_head=2, steps=3, batch=8
)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_keys_differ_and_values_are_tokens_of_their_own() -> None:
    keys, values = draw_keys(TINY, draw()), draw_values(TINY, 500, draw())
    assert len({tuple(key) for key in keys.tolist()}) == len(keys) == 50
    assert int(keys.min()) >= 0
    assert int(keys.max()) < TINY.symbols
    assert set(values.tolist()) == {8, 9, 10, 11}


def test_the_retriever_ranks_by_the_number_of_symbols_shared() -> None:
    keys = torch.tensor([[0, 1, 2], [0, 1, 3], [4, 1, 3], [4, 5, 6]])
    assert retrieve(torch.tensor([[0, 1, 3]]), keys, 8, 4).tolist()[0][0] == 1
    assert set(retrieve(torch.tensor([[0, 1, 3]]), keys, 8, 3).tolist()[0]) == {0, 1, 2}
    assert retrieve(torch.tensor([[7, 5, 6]]), keys, 8, 1).tolist() == [[3]]


def test_a_key_in_the_index_always_comes_first() -> None:
    keys = draw_keys(TINY, draw())
    assert retrieve(keys, keys, TINY.symbols, 2)[:, 0].tolist() == list(range(50))


def test_a_prompt_is_the_passages_and_then_the_question() -> None:
    keys, values = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([10, 11])
    prompt = prompt_of(torch.tensor([[4, 5, 6]]), torch.tensor([[1, 0]]), keys, values)
    assert prompt.tolist() == [[4, 5, 6, 11, 1, 2, 3, 10, 4, 5, 6]]
    assert prompt.shape[1] == shape_of(TINY).context


def test_shuffling_keeps_the_passages_and_leaves_no_place_to_the_right_one() -> None:
    found = torch.tensor([[0, 1]]).expand(4000, 2)
    mixed = shuffled(found, draw())
    assert torch.equal(mixed.sort(1).values, found)
    assert mixed[:, 0].float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_both_models_have_the_same_weights_to_start_with() -> None:
    shapes = [shape_of(replace(TINY, knowledge=kind)) for kind in ("retrieval", "closed_book")]
    assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match="retrieval or closed_book"):
        shape_of(replace(TINY, knowledge="open_book"))


def test_an_answer_is_a_value_read_at_the_last_position() -> None:
    torch.manual_seed(0)
    model = Transformer(shape_of(TINY)).eval()
    prompt = torch.randint(8, (5, 11), generator=draw())
    assert torch.allclose(answers(model, prompt, TINY), model(prompt)[:, -1, 8:], atol=1e-6)


@pytest.mark.parametrize("knowledge", ["retrieval", "closed_book"])
def test_it_runs_at_its_smallest_and_again_alike(knowledge: str) -> None:
    config = replace(TINY, knowledge=knowledge)
    row = run(config, Context())
    assert row == run(config, Context())
    assert row["flops"] == cost(config) > 0
    assert all(0 <= row[name] <= 1 for name in ("trained", "added", "changed", "added_wrong", "changed_wrong"))


def test_which_passages_are_found_is_nothing_to_a_closed_book() -> None:
    row = run(replace(TINY, knowledge="closed_book"), Context())
    assert (row["added_wrong"], row["changed_wrong"]) == (row["added"], row["changed"])


@pytest.mark.slow
def test_a_reader_of_one_passage_follows_the_index_and_a_wrong_passage_misleads_it() -> None:
    config = replace(
        TINY, facts=400, added=100, values=16, passages=1, n_layer=2, d_model=32, steps=400, batch=64, lr=3e-3
    )
    reader, closed = run(config, Context()), run(replace(config, knowledge="closed_book"), Context())
    assert min(reader["added"], reader["changed"]) > 0.9
    assert max(reader["added_wrong"], reader["changed_wrong"], closed["added"], closed["changed"]) < 0.3
    assert closed["trained"] > 0.3


def differences(*arguments: object) -> dict[str, float]:
    return published_tables.run(published_tables.Config(*arguments), Context())  # type: ignore[arg-type]


def test_printed_scores_are_subtracted_to_the_printed_digit() -> None:
    row = differences()
    assert row["sst2_over_left_to_right"] == 0.5
    assert row["squad_over_bilstm"] == 3.0
    assert len(row) == 10


def test_systems_without_a_score_are_left_out() -> None:
    row = differences("rag", "rag_sequence", ("realm", "t5_ssm"))
    assert set(row) == {
        "natural_questions_over_realm",
        "web_questions_over_realm",
        "curated_trec_over_realm",
        "natural_questions_over_t5_ssm",
        "trivia_qa_wiki_over_t5_ssm",
        "web_questions_over_t5_ssm",
    }


@pytest.mark.parametrize(
    ("arguments", "column"),
    [
        (("bert", "left_to_right", ("bilstm",)), "mnli_over_bilstm"),
        (("gpt3", "one_shot", ("zero_shot",)), "lambada_over_zero_shot"),
        (("rag", "rag_token", ("dpr",)), "curated_trec_over_dpr"),
        (("rag", "rag_sequence", ("dpr",)), "trivia_qa_over_dpr"),
    ],
)
def test_orders_that_the_tables_do_not_show(arguments: tuple[object, ...], column: str) -> None:
    assert differences(*arguments)[column] <= 0
