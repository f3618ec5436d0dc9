"""What the tanh gate of Flamingo's new layers does for training: the early loss, and the loss at the end.

Paper: Alayrac et al. 2022 (Flamingo), arXiv 2204.14198, section 2.2 and Table 3. Serves the claims `flamingo/gate_ablation` and
`flamingo/gate_early_jump`.

One trial trains a language model of characters on captions of two digits, freezes it, and trains new blocks to describe scenes in
four arms that begin with the same weights and see the same scenes:

    `tanh`   the paper's gate, α = 0 at the start
    `none`   the new layers are added as they are
    `open`   a learnable gate that starts open, α = 4; only the first steps (control of the early loss)
    `shut`   the frozen language model, blind (control of the final loss)

Hardware and time: about 35 s of one CPU core a trial at `cpu`. Deviations: see the claims.
"""

import copy
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.vision_language.captioned_digits import (
    ALPHABET,
    FILLER,
    LENGTH,
    DigitImages,
    all_captions,
    draw_scenes,
    load_split,
)
from experiments.vision_language.small_flamingo import Flamingo, LanguageModel
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Sizes and steps."""

    d: int = 64
    """Width of the text stream."""
    n_head: int = 4
    """Heads of every attention."""
    n_layer: int = 2
    """Blocks of the language model, each behind a new one."""
    text_steps: int = 400
    """Updates of the language model, on captions alone."""
    steps: int = 600
    """Updates of the new layers."""
    batch: int = 32
    """Captions of a step."""
    lr: float = 1e-3
    """Learning rate of Adam, the same in every arm and for the language model."""
    warmup: int = 50
    """Steps over which the rate rises linearly from 0; then it is constant."""
    early: tuple[int, ...] = (0, 5, 10, 20, 40)
    """Numbers of updates after which the early loss is measured."""
    held_out: int = 360
    """Digit images kept for the measurement."""
    scenes: int = 1000
    """Scenes that the loss is measured on, made of held-out images."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, split, captions and scenes."""


def caption_loss(logits: Tensor, captions: Tensor) -> Tensor:
    """Return the mean loss in nats a character, of logits [B, T, V] for captions [B, T]; fillers do not count."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), captions[:, 1:].flatten(), ignore_index=FILLER)


def train_language_model(config: Config, context: Context) -> LanguageModel:
    """Train on captions drawn uniformly, without images."""
    torch.manual_seed(derived_seed("caption model", config.seed))
    model = LanguageModel(len(ALPHABET), LENGTH, config.d, config.n_head, config.n_layer).to(context.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    draw, captions = generator("caption text", config.seed), all_captions().flatten(0, 2).to(context.device)
    for step in range(config.text_steps):
        batch = captions[torch.randint(len(captions), (config.batch,), generator=draw).to(context.device)]
        loss = caption_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            context.log(step, text_loss=loss.item())
    return model


@torch.no_grad()
def measure(model: nn.Module, scenes: Tensor, captions: Tensor) -> tuple[float, float]:
    """Return the loss (nats a character) and the share of characters that are most likely, given those before."""
    of_image = torch.zeros(captions.shape[1], dtype=torch.long, device=captions.device)
    logits = torch.cat([model(c, s, of_image) for s, c in zip(scenes.split(250), captions.split(250), strict=True)])
    real = captions[:, 1:] != FILLER
    right = (logits[:, :-1].argmax(-1) == captions[:, 1:])[real].float().mean()
    return caption_loss(logits, captions).item(), right.item()


def train_arm(
    gate: str,
    language_model: LanguageModel,
    digits: DigitImages,
    held_out: tuple[Tensor, Tensor],
    config: Config,
    context: Context,
) -> dict[str, float]:
    """Train the new layers of one arm; return the worst early loss, and loss and accuracy at the end."""
    torch.manual_seed(derived_seed("new layers", config.seed))
    model = Flamingo(copy.deepcopy(language_model), 64, 4, config.n_head, gate).to(context.device)
    trained = list(chain(model.new.parameters(), model.reader.parameters(), [model.place]))
    optimizer, draw = torch.optim.Adam(trained, lr=config.lr), generator("scenes", config.seed)
    of_image = torch.zeros(LENGTH, dtype=torch.long, device=context.device)
    steps = {"shut": 0, "open": max(config.early)}.get(gate, config.steps)
    early = []
    for step in range(steps + 1):
        if step in config.early:
            early.append(measure(model, *held_out)[0])
        if step == steps:
            break
        optimizer.param_groups[0]["lr"] = config.lr * min(1.0, (step + 1) / config.warmup)
        scenes, captions = (each.to(context.device) for each in draw_scenes(digits, config.batch, draw))
        loss = caption_loss(model(captions, scenes, of_image), captions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            context.log(step, **{f"loss_{gate}": loss.item()})
    loss_at_end, accuracy = measure(model, *held_out)
    return {"early": max(early), "loss": loss_at_end, "accuracy": accuracy}


def run(config: Config, context: Context) -> dict[str, float]:
    """Train the language model and the arms.

    Returns, in nats a character of captions of held-out scenes unless said otherwise:
        `loss_<arm>`: at the end, of `tanh`, `none` and `shut`; `accuracy_<arm>`: share of characters right, given those before;
        `jump_<arm>`: highest loss of the early measurements minus that of the frozen language model, of `tanh`, `none` and `open`;
        `gain` and `gain_shut`: loss without a gate minus that with the gate, or with a shut one;
        `jump_saved` and `jump_saved_open`: jump without a gate minus that with the gate, or with one that starts open.
    """
    torch.set_num_threads(config.threads)
    digits, kept = load_split(config.held_out, config.seed)
    drawn = draw_scenes(kept, config.scenes, generator("held-out scenes", config.seed))
    held_out = drawn[0].to(context.device), drawn[1].to(context.device)
    language_model = train_language_model(config, context)
    row, found = {}, {}
    for i, gate in enumerate(("shut", "open", "none", "tanh")):
        context.progress((i + 1) / 5)
        found[gate] = train_arm(gate, language_model, digits, held_out, config, context)
        if gate != "shut":
            row[f"jump_{gate}"] = found[gate]["early"] - found["shut"]["loss"]
        if gate != "open":
            row |= {f"loss_{gate}": found[gate]["loss"], f"accuracy_{gate}": found[gate]["accuracy"]}
    row |= {"gain": row["loss_none"] - row["loss_tanh"], "gain_shut": row["loss_none"] - row["loss_shut"]}
    row |= {"jump_saved": row["jump_none"] - row["jump_tanh"], "jump_saved_open": row["jump_none"] - row["jump_open"]}
    return row


if __name__ == "__main__":
    for column, value in run(Config(seed=1000), Context()).items():
        print(f"{column:20} {value:g}")
