"""Do the scores that three papers print stand in the order that their text says?

Papers: Devlin et al., arXiv 1810.04805 (BERT), Table 5; Brown et al., arXiv 2005.14165 (GPT-3), Tables 3.2 and 3.3; Lewis et
al., arXiv 2005.11401 (RAG), Table 1. Serves the claims `bert/table5_orderings`, `bert/bilstm_on_left_to_right`,
`gpt3/few_shot_tables` and `rag/table1_orderings`.

Printed scores have one decimal, so a difference of 0.1 is the least that shows an order and 0 shows none.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass

from repro.schema.context import Context

Scores = dict[str, dict[str, float]]

BERT_TABLE_5: Scores = {
    "base": {"mnli": 84.4, "qnli": 88.4, "mrpc": 86.7, "sst2": 92.7, "squad": 88.5},
    "masked": {"mnli": 83.9, "qnli": 84.9, "mrpc": 86.5, "sst2": 92.6, "squad": 87.9},
    "left_to_right": {"mnli": 82.1, "qnli": 84.3, "mrpc": 77.5, "sst2": 92.1, "squad": 77.8},
    "bilstm": {"mnli": 82.1, "qnli": 84.1, "mrpc": 75.7, "sst2": 91.6, "squad": 84.9},
}
"""Accuracy (SQuAD: F1) on development sets, %. `masked` and those below it are without next-sentence prediction; `bilstm` is
the left-to-right model with a BiLSTM on top."""

GPT3_TABLES: Scores = {
    "zero_shot": {
        "lambada": 76.2, "storycloze": 83.2, "hellaswag": 78.9, "natural_questions": 14.6, "web_questions": 14.4,
        "trivia_qa": 64.3,
    },
    "one_shot": {
        "lambada": 72.5, "storycloze": 84.7, "hellaswag": 78.1, "natural_questions": 23.0, "web_questions": 25.3,
        "trivia_qa": 68.0,
    },
    "few_shot": {
        "lambada": 86.4, "storycloze": 87.7, "hellaswag": 79.3, "natural_questions": 29.9, "web_questions": 41.5,
        "trivia_qa": 71.2,
    },
}  # fmt: skip
"""Accuracy of the model of 175B parameters, %."""

RAG_TABLE_1: Scores = {
    "rag_sequence": {
        "natural_questions": 44.5, "trivia_qa": 56.8, "trivia_qa_wiki": 68.0, "web_questions": 45.2, "curated_trec": 52.2,
    },
    "rag_token": {
        "natural_questions": 44.1, "trivia_qa": 55.2, "trivia_qa_wiki": 66.1, "web_questions": 45.5, "curated_trec": 50.0,
    },
    "dpr": {"natural_questions": 41.5, "trivia_qa": 57.9, "web_questions": 41.1, "curated_trec": 50.6},
    "realm": {"natural_questions": 40.4, "web_questions": 40.7, "curated_trec": 46.8},
    "t5_ssm": {"natural_questions": 36.6, "trivia_qa_wiki": 60.5, "web_questions": 44.7},
}  # fmt: skip
"""Exact match, %; systems that were not scored on a task lack it. `trivia_qa_wiki` is the test set that T5 was scored on."""

TABLES = {"bert": BERT_TABLE_5, "gpt3": GPT3_TABLES, "rag": RAG_TABLE_1}


@dataclass(frozen=True)
class Config:
    """Which systems of which table are compared."""

    table: str = "bert"
    """`bert`, `gpt3` or `rag`."""
    better: str = "masked"
    """The system that the text puts first."""
    worse: tuple[str, ...] = ("left_to_right", "bilstm")
    """Those it is put above."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Subtract printed scores.

    Returns:
        `<task>_over_<worse>`: the better system's score minus the other's (percentage points), on every task that both have.
    """
    scores = TABLES[config.table]
    return {
        f"{task}_over_{worse}": round(score - scores[worse][task], 1)  # in floats 92.6 - 92.1 is not quite 0.5
        for worse in config.worse
        for task, score in scores[config.better].items()
        if task in scores[worse]
    }


if __name__ == "__main__":
    comparisons = (
        Config(),
        Config("bert", "left_to_right", ("bilstm",)),
        Config("gpt3", "few_shot", ("zero_shot", "one_shot")),
        Config("rag", "rag_sequence", ("dpr", "realm", "t5_ssm")),
    )
    for config in comparisons:
        print(config.table, config.better)
        for column, value in run(config, Context()).items():
            print(f"  {column:36} {value:+.1f}")
