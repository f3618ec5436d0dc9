import hashlib
import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.lab.text import Document
from repro.lab.tokenizer import decode, encode, token_type, train_byte_pairs
from repro.schema.errors import DataError

pytest.importorskip("tokenizers")

WORDS = "the cat sat on the mat; 'the' hat — naïve café\n\tdef f(x):\n        return x ** 2\n"
TEXT = tuple(Document(f"d{i}", (WORDS * 3 + f"{i} ").encode()) for i in range(40))


def test_bytes_are_the_text_and_line_ends() -> None:
    tokens = encode((Document("a", "é!".encode()), Document("b", b"")))
    assert tokens.dtype == np.uint8
    assert tokens.tolist() == [0xC3, 0xA9, 0x21, 10, 10]
    assert decode(tokens.tolist()) == "é!\n\n"


def test_byte_pairs_give_back_the_very_text_and_take_fewer_tokens() -> None:
    tokenizer = train_byte_pairs(TEXT, 300)
    tokens = encode(TEXT, tokenizer)
    plain = encode(TEXT)
    assert tokens.dtype == token_type(300) == np.int16
    assert 0 <= tokens.min() <= tokens.max() < 300
    assert len(tokens) < len(plain) / 1.8
    assert decode(tokens.tolist(), tokenizer) == bytes(plain).decode()


@given(st.text())
def test_any_text_can_be_written_though_it_was_not_trained_on(text: str) -> None:
    text = text.encode(errors="ignore").decode()
    tokens = encode((Document("x", text.encode()),), TRAINED)
    assert decode(tokens.tolist(), TRAINED) == text + "\n"


TRAINED = train_byte_pairs(TEXT, 280)


def test_the_first_merges_are_those_of_counting_pairs_by_hand() -> None:
    """Independent reference: merge the most frequent pair of neighbours again and again, as in the paper's Algorithm 1."""
    words = Counter({"low": 5, "lower": 2, "newest": 6, "widest": 3})
    text = "".join(f"{word}\n" * count for word, count in words.items())
    trained = json.loads(train_byte_pairs((Document("x", text.encode()),), 256 + 4))
    merges = [tuple(merge) for merge in trained["model"]["merges"]]
    pieces = {tuple(word): count for word, count in words.items()}
    for merge in merges:
        counts: Counter[tuple[str, str]] = Counter()
        for piece, count in pieces.items():
            for pair in pairwise(piece):
                counts[pair] += count
        assert counts[merge] == max(counts.values())
        joined = {}
        for piece, count in pieces.items():
            out: list[str] = []
            for symbol in piece:
                if out and (out[-1], symbol) == merge:
                    out[-1] += symbol
                else:
                    out.append(symbol)
            joined[tuple(out)] = count
        pieces = joined


def test_training_is_the_same_in_another_process() -> None:
    program = (
        "import hashlib; from repro.lab.text import Document; from repro.lab.tokenizer import train_byte_pairs\n"
        f"text = tuple(Document(f'd{{i}}', ({WORDS!r} * 3 + f'{{i}} ').encode()) for i in range(40))\n"
        "print(hashlib.sha256(train_byte_pairs(text, 300).encode()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(train_byte_pairs(TEXT, 300).encode()).hexdigest()


def test_training_reads_about_so_much_text_and_not_in_the_order_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.lab.tokenizer.TRAINING_BYTES", 40)
    texts = tuple(Document(f"d{i}", f"{chr(97 + i) * 20}".encode()) for i in range(26))
    merged = {chr(97 + i) for i in range(26) if f'"{chr(97 + i) * 2}"' in train_byte_pairs(texts, 258)}
    assert len(merged) == 2
    assert merged != {"a", "b"}


@pytest.mark.parametrize("vocabulary", [256, 40_000])
def test_a_vocabulary_that_is_no_trained_one_is_refused(vocabulary: int) -> None:
    with pytest.raises(DataError, match=f"257 to 32768 tokens.*got {vocabulary}"):
        train_byte_pairs(TEXT, vocabulary)


def test_a_text_too_small_for_the_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match="ask for a smaller vocabulary or take a larger text"):
        train_byte_pairs((Document("x", b"ab ab"),), 1000)


def test_without_the_library_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match="'tokenizers', which is not installed.*vocabulary of 256"):
        train_byte_pairs(TEXT, 300)
