import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.lab.synthetic import Language, entropy_rate, language_entropy_rate, sample


def zipf(language: Language) -> np.ndarray:
    weights = (np.arange(1, language.vocabulary + 1) + language.shift) ** -language.exponent
    return weights / weights.sum()


@pytest.mark.parametrize("vocabulary", [2, 64, 256])
def test_entropy_is_that_of_fresh_draws_where_no_token_is_called_for(vocabulary: int) -> None:
    language = Language(vocabulary, called=0.0)
    u = zipf(language)
    assert language_entropy_rate(language) == pytest.approx(-(u * np.log(u)).sum(), rel=1e-6)


@pytest.mark.parametrize("vocabulary", [2, 17, 256])
def test_entropy_has_a_closed_form_where_all_tokens_are_equally_frequent(vocabulary: int) -> None:
    language = Language(vocabulary, called=0.6, exponent=0.0)
    other, hit = 0.4 / vocabulary, 0.4 / vocabulary + 0.6
    closed = -(vocabulary - 1) * other * math.log(other) - hit * math.log(hit)
    assert language_entropy_rate(language) == pytest.approx(closed, rel=1e-6)


def test_entropy_is_that_of_the_dense_chain_over_pairs() -> None:
    """Independent reference: the V² × V² transition matrix, its eigenvector of eigenvalue 1, and the entropy of every row."""
    language = Language(6, called=0.7)
    v, u, table = 6, zipf(language), language.table()
    rows = np.zeros((v, v, v))
    for a in range(v):
        for b in range(v):
            rows[a, b] = 0.3 * u
            rows[a, b, table[a, b]] += 0.7
    transition = np.zeros((v * v, v * v))
    for a in range(v):
        for b in range(v):
            for c in range(v):
                transition[a * v + b, b * v + c] = rows[a, b, c]
    values, vectors = np.linalg.eig(transition.T)
    stationary = vectors[:, np.argmin(abs(values - 1))].real
    stationary /= stationary.sum()
    expected = -(stationary.reshape(v, v, 1) * rows * np.log(rows)).sum()
    assert language_entropy_rate(language) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("vocabulary", [64, 256])
def test_the_true_model_has_this_loss_on_a_long_sample(vocabulary: int) -> None:
    language = Language(vocabulary)
    text = sample(language, 0, 1_000_000, seed=11)
    called = language.table()[text[:-2], text[1:-1]] == text[2:]
    losses = -np.log(0.3 * zipf(language)[text[2:]] + 0.7 * called)
    # Losses of neighbours hang together a little; five standard errors of independent ones.
    assert losses.mean() == pytest.approx(entropy_rate(vocabulary), abs=5 * losses.std() / 1000)


def test_known_values() -> None:
    """They are what a study's true E is; a change of the language must be seen."""
    assert entropy_rate(64) == pytest.approx(1.479787, abs=1e-5)
    assert entropy_rate(256) == pytest.approx(1.654233, abs=1e-5)
    assert sample(Language(256), 0, 12, seed=0).tolist() == [0, 3, 7, 10, 5, 1, 0, 64, 6, 84, 0, 35]


@settings(deadline=None, max_examples=20)
@given(first=st.integers(0, 20_000), count=st.integers(0, 3_000), seed=st.integers(0, 2))
def test_a_stretch_is_the_same_wherever_one_begins(first: int, count: int, seed: int) -> None:
    language = Language(32)
    whole = sample(language, 0, 23_000, seed)
    assert np.array_equal(sample(language, first, count, seed), whole[first : first + count])


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    language = Language(32)
    whole = sample(language, 0, 5_000, seed=3)
    monkeypatch.setattr("repro.lab.synthetic._BLOCK", 777)
    assert np.array_equal(sample(language, 0, 5_000, seed=3), whole)


def test_the_text_is_that_of_one_plain_loop() -> None:
    """Independent reference: one token after the other, as the header says."""
    language = Language(32)
    raw = np.random.PCG64(5).random_raw(1024 + 3000)
    cumulative, table = language.counts().cumsum(), language.table()
    before = last = 0
    text = []
    for draw in raw:
        coin, fresh = int(draw) >> 32, int(draw) & 0xFFFFFFFF
        called = coin < 0.7 * 2**32
        token = table[before, last] if called else np.searchsorted(cumulative, fresh, side="right")
        before, last = last, int(token)
        text.append(last)
    assert sample(language, 0, 3000, seed=5).tolist() == text[1024:]


def test_seeds_give_other_texts_of_the_same_language() -> None:
    language = Language(64)
    first, second = sample(language, 0, 200_000, 0), sample(language, 0, 200_000, 1)
    assert (first == second).mean() < 0.5
    shares = [np.bincount(text, minlength=64) / len(text) for text in (first, second)]
    assert abs(shares[0] - shares[1]).max() < 0.01


def test_tokens_are_as_unequally_frequent_as_words() -> None:
    shares = np.sort(np.bincount(sample(Language(256), 0, 500_000, 0), minlength=256))[::-1] / 500_000
    assert shares[0] > 30 * shares[30] > 90 * shares[200] > 0
