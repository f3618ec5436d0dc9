import copy
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.vision_language.captioned_digits import (
    ALPHABET,
    FILLER,
    LENGTH,
    NAMES,
    DigitImages,
    all_captions,
    draw_scenes,
    encode,
    load_split,
)
from experiments.vision_language.gate_ablation import Config, caption_loss, run, train_language_model
from experiments.vision_language.small_flamingo import Attention, Flamingo, GatedCrossAttentionDense, LanguageModel
from repro.lab.seeding import generator
from repro.schema.context import Context

SMALL = Config(d=16, n_head=2, text_steps=3, steps=3, early=(0, 1), scenes=20, batch=4)


def test_attention_is_torchs() -> None:
    torch.manual_seed(0)
    ours, torchs = Attention(16, 4), torch.nn.MultiheadAttention(16, 4, bias=False, batch_first=True)
    with torch.no_grad():
        torchs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.kv.weight]))
        torchs.out_proj.weight.copy_(ours.out.weight)
    y, x = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    mask = (torch.arange(7) <= torch.arange(5)[:, None]).expand(2, 1, -1, -1)
    assert torch.allclose(ours(y, x, mask), torchs(y, x, x, attn_mask=~mask[0, 0])[0], atol=1e-6)
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    assert torch.allclose(ours(y, y, None), torchs(y, y, y, attn_mask=hidden)[0], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3), st.integers(0, 1000))
def test_a_gate_adds_tanh_alpha_times_what_the_ungated_layer_adds(alpha: float, seed: int) -> None:
    torch.manual_seed(seed)
    gated = GatedCrossAttentionDense(8, 2, "tanh")
    free = copy.deepcopy(gated)
    free.gate = "none"
    y, x, mask = torch.randn(2, 3, 8), torch.randn(2, 4, 8), torch.ones(2, 1, 3, 4, dtype=torch.bool)
    with torch.no_grad():
        gated.alpha_xattn.fill_(alpha)
        for block in (gated, free):
            block.ffw[2].weight.zero_()
            block.ffw[2].bias.zero_()
    assert torch.allclose(gated(y, x, mask) - y, math.tanh(alpha) * (free(y, x, mask) - y), atol=1e-5)


@pytest.mark.parametrize(("gate", "same"), [("tanh", True), ("shut", True), ("none", False), ("open", False)])
def test_only_a_shut_gate_leaves_the_language_model_as_it_was(gate: str, same: bool) -> None:
    torch.manual_seed(0)
    language_model = LanguageModel(12, 6, 16, 2, 2)
    tokens, images = torch.arange(12).reshape(2, 6), torch.randn(2, 2, 3, 5)
    before = language_model(tokens)
    after = Flamingo(language_model, 5, 3, 2, gate)(tokens, images, torch.tensor([0, 0, 0, 1, 1, 1]))
    assert torch.equal(before, after) == same


def test_text_sees_the_last_image_before_it_and_no_other() -> None:
    torch.manual_seed(0)
    model = Flamingo(LanguageModel(12, 6, 16, 2, 1), 5, 3, 2, "none")
    tokens, of_image = torch.arange(6)[None], torch.tensor([0, 0, 0, 1, 1, 1])
    images = torch.randn(1, 2, 3, 5)
    changed = images.clone()
    changed[:, 1] += 1
    a, b = model(tokens, images, of_image), model(tokens, changed, of_image)
    assert torch.equal(a[:, :3], b[:, :3])
    assert not torch.isclose(a[:, 3:], b[:, 3:]).all(-1).any()


def test_captions_read_as_they_are_written() -> None:
    captions = all_captions()
    assert captions.shape == (10, 4, 10, LENGTH)
    assert "".join(ALPHABET[i] for i in captions[7, 1, 2]).strip("~") == "a seven below a two."
    assert max(len(f"~a {a} right of a {a}.") for a in NAMES) == LENGTH
    assert len(captions.flatten(0, 2).unique(dim=0)) == 400


def test_a_scene_shows_what_its_caption_says() -> None:
    # each "image" is its own label in every pixel, off zero
    digits = DigitImages(torch.arange(1.0, 11)[:, None].repeat(1, 64), torch.arange(10))
    scenes, captions = draw_scenes(digits, 200, generator("scenes"))
    for scene, caption in zip(scenes[:, 0, :, 0].reshape(-1, 2, 2).tolist(), captions, strict=True):
        places = {
            value - 1: (row, column) for row, line in enumerate(scene) for column, value in enumerate(line) if value
        }
        _, first, *relation, _, second = "".join(ALPHABET[i] for i in caption).strip("~.").split()
        if first == second:
            continue
        (row_a, column_a), (row_b, column_b) = places[NAMES.index(first)], places[NAMES.index(second)]
        assert {
            "above": row_a < row_b,
            "below": row_a > row_b,
            "left": column_a < column_b,
            "right": column_a > column_b,
        }[relation[0]]
        assert (row_a == row_b) == (relation[0] in ("left", "right"))


def test_the_split_is_a_split() -> None:
    train, kept = load_split(360, 3)
    assert len(train.labels) + len(kept.labels) == 1797
    assert Counter(torch.cat([train.labels, kept.labels]).tolist())[8] == 174
    assert float(train.pixels.max()) == 1


def test_fillers_do_not_count_in_the_loss() -> None:
    caption = torch.tensor([encode("a one above a two")])
    logits = torch.zeros(1, LENGTH, len(ALPHABET))
    assert caption_loss(logits, caption).item() == pytest.approx(math.log(len(ALPHABET)))
    logits[:, (caption[0, 1:] == FILLER).nonzero()[:, 0]] = 50.0 * torch.eye(len(ALPHABET))[3]
    assert caption_loss(logits, caption).item() == pytest.approx(math.log(len(ALPHABET)))


@pytest.mark.slow
def test_the_language_model_nears_the_entropy_of_captions_and_cannot_beat_it() -> None:
    model = train_language_model(Config(text_steps=300), Context())
    captions = all_captions().flatten(0, 2)
    lengths = (captions[:, 1:] != FILLER).sum(1).float().mean().item()
    with torch.no_grad():
        loss = caption_loss(model(captions), captions).item()
    assert math.log(400) / lengths <= loss < 1.15 * math.log(400) / lengths


def test_a_trial_measures_every_arm_and_the_control_of_the_jump_is_like_no_gate() -> None:
    row = run(SMALL, Context())
    assert row == run(SMALL, Context())
    assert row["gain"] == row["loss_none"] - row["loss_tanh"]
    assert row["jump_tanh"] < 0.1 * abs(row["jump_none"]) + 0.02
    assert abs(row["jump_saved_open"]) < 0.05
