import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.vision_language.captioned_digits import DigitImages
from experiments.vision_language.shots import (
    IMAGE,
    WORDS,
    Config,
    draw_episodes,
    draw_images,
    interleaved,
    run,
    train_language_model,
    with_captions,
    word_loss,
)
from repro.lab.seeding import generator
from repro.schema.context import Context

SMALL = Config(d=16, n_head=2, text_steps=3, steps=3, batch=4, episodes=300)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_an_episode_binds_each_digit_to_one_word(seed: int, classes: int) -> None:
    words = range(WORDS, WORDS + 9)
    digits, bound = draw_episodes(20, words, Config(classes=classes), torch.Generator().manual_seed(seed))
    assert set(bound.flatten().tolist()) <= set(words)
    for row_digits, row_words in zip(digits.tolist(), bound.tolist(), strict=True):
        pairs = set(zip(row_digits, row_words, strict=True))
        assert len(pairs) == len(set(row_digits)) == len(set(row_words)) <= classes


def test_an_image_is_of_its_digit() -> None:
    digits = DigitImages(torch.arange(30.0)[:, None].repeat(1, 64), torch.arange(30) % 10)
    labels = torch.randint(10, (50, 3), generator=generator("labels"))
    images = draw_images(labels, digits, generator("images"))
    assert images.shape == (50, 3, 1, 64)
    assert torch.equal(images[:, :, 0, 0].long() % 10, labels)
    assert len(images.unique()) == 30


def test_the_loss_is_of_the_words_alone() -> None:
    words = torch.tensor([[WORDS, WORDS + 1]])
    assert interleaved(torch.full_like(words, IMAGE), words).tolist() == [[IMAGE, WORDS, IMAGE, WORDS + 1]]
    logits = torch.zeros(1, 4, WORDS + 2)
    logits[0, 1::2] = 100 * torch.randn(2, WORDS + 2, generator=generator("ignored"))
    assert word_loss(logits, words).item() == pytest.approx(math.log(WORDS + 2))


def test_a_trial_is_repeated_and_its_ceiling_is_the_chance_of_having_been_shown() -> None:
    row = run(SMALL, Context())
    assert row == run(SMALL, Context())
    for k in SMALL.shots:
        assert row[f"ceiling_{k}"] == pytest.approx(1 - 0.5**k, abs=0.12)
    assert row["rise_4"] == row["accuracy_4"] - row["accuracy_2"]
    assert row["accuracy_0"] <= 0.3


def test_a_caption_names_the_digit() -> None:
    digits, words = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]]), torch.full((4, 2), WORDS)
    assert with_captions(digits, words, Config(captions=0.5)).tolist() == [[1, 2], [3, 4], [WORDS] * 2, [WORDS] * 2]
    assert torch.equal(with_captions(digits, words, Config(captions=0.0)), words)


@pytest.mark.slow
def test_the_language_model_learns_to_look_up_words_in_text() -> None:
    """An ideal reader of two classes pays ln(words) for each word not shown before, on average 1.94 of 5."""
    config = Config(words=10, text_steps=500, captions=0.0)
    model = train_language_model(config, Context())
    keys, named = draw_episodes(1000, range(WORDS, WORDS + 10), config, generator("test episodes"))
    with torch.no_grad():
        loss = word_loss(model(interleaved(keys, named)), named).item()
    ideal = (math.log(10) + (1 - 0.5**4) * math.log(9)) / 5
    assert 0.9 * ideal < loss < 1.35 * ideal
