"""More examples in the prompt, more right answers? Made-up words bound to handwritten digits, learnt from the prompt alone.

Paper: Alayrac et al. 2022 (Flamingo), arXiv 2204.14198, section 3.1 and Figure 2. Serves the claim `flamingo/shots_improve`.

An episode has two digits, each with a made-up word of its own, and five pairs; each pair shows one of the two digits, drawn anew:

    <image of a 7> blick <image of a 2> dax <image of a 7> ...

The word of pair k is asked for after k examples. A language model is first trained on such episodes in text, with the digits' names in the place
of images; it learns to look up a word in its prompt. Frozen, it gets new layers with tanh gates, which are trained on episodes with images. As in
the paper, training mixes such interleaved episodes with plain captions: episodes whose words are the digits' own names.
Measured is on images that were in no training and words that no episode with images had: the new layers can know neither.

Hardware and time: about 28 s of one CPU core a trial at `cpu`. Deviations: see the claim.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.vision_language.captioned_digits import DigitImages, load_split
from experiments.vision_language.small_flamingo import Flamingo, LanguageModel
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context

IMAGE = 10
"""Tokens 0 to 9 are the names of digits, 10 stands where an image is, and the made-up words follow."""
WORDS = 11


@dataclass(frozen=True)
class Config:
    """Episodes, sizes and steps."""

    words: int = 40
    """Made-up words."""
    novel: int = 8
    """Of them, those that only the language model has seen before the measurement."""
    classes: int = 2
    """Digits of an episode."""
    captions: float = 0.5
    """Share of the episodes, in text and with images, in which a digit's word is its name."""
    pairs: int = 5
    """Pairs of an episode; the last is asked for after one fewer examples."""
    shots: tuple[int, ...] = (0, 1, 2, 4)
    """Numbers of examples after which the word is measured."""
    d: int = 64
    """Width of the text stream."""
    n_head: int = 4
    """Heads of every attention."""
    n_layer: int = 2
    """Blocks of the language model, each behind a new one."""
    text_steps: int = 1000
    """Updates of the language model."""
    steps: int = 1000
    """Updates of the new layers."""
    batch: int = 64
    """Episodes of a step."""
    lr: float = 2e-3
    """Learning rate of Adam, after a linear rise over the first twentieth of the steps."""
    held_out: int = 360
    """Digit images kept for the measurement."""
    episodes: int = 2000
    """Episodes of the measurement."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, split and episodes."""


def draw_episodes(n: int, words: range, config: Config, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the digit and the word of every pair, both [n, pairs]; an episode's digits and words are distinct."""
    digits = torch.rand(n, 10, generator=draw).argsort(1)[:, : config.classes]
    bound = torch.rand(n, len(words), generator=draw).argsort(1)[:, : config.classes] + words.start
    shown = torch.randint(config.classes, (n, config.pairs), generator=draw)
    return digits.gather(1, shown), bound.gather(1, shown)


def with_captions(digits: Tensor, words: Tensor, config: Config) -> Tensor:
    """Return the words [n, pairs] with the digits' names in the first rows, the share `captions` of them."""
    n = round(config.captions * len(words))
    return torch.cat([digits[:n], words[n:]])


def interleaved(keys: Tensor, words: Tensor) -> Tensor:
    """Return key, word, key, word, ... [n, 2 · pairs]."""
    return torch.stack([keys, words], 2).flatten(1)


def draw_images(labels: Tensor, digits: DigitImages, draw: torch.Generator) -> Tensor:
    """Return for each label [n, pairs] an image of that digit, [n, pairs, 1, 64]."""
    by_label = digits.labels.argsort(stable=True)
    counts = digits.labels.bincount(minlength=10)
    starts = counts.cumsum(0) - counts
    # The product of a float below 1 and a count can round up to the count.
    within = (torch.rand(labels.shape, generator=draw) * counts[labels]).long().minimum(counts[labels] - 1)
    return digits.pixels[by_label[starts[labels] + within]][:, :, None]


def word_loss(logits: Tensor, words: Tensor) -> Tensor:
    """Return the mean loss (nats) of the words [n, pairs]; logits [n, 2 · pairs, V] of a key tell the word after it."""
    return F.cross_entropy(logits[:, ::2].flatten(0, 1), words.flatten())


def adam_steps(
    parameters: list[torch.nn.Parameter], steps: int, config: Config
) -> Iterator[tuple[int, torch.optim.Optimizer]]:
    """Yield the number of each step with an optimizer whose rate is set for it."""
    optimizer = torch.optim.Adam(parameters, lr=config.lr)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = config.lr * min(1.0, 20 * (step + 1) / steps)
        optimizer.zero_grad()
        yield step, optimizer


def train_language_model(config: Config, context: Context) -> LanguageModel:
    """Train on episodes in text, with all words."""
    torch.manual_seed(derived_seed("episode model", config.seed))
    vocabulary, words = WORDS + config.words, range(WORDS, WORDS + config.words)
    model = LanguageModel(vocabulary, 2 * config.pairs, config.d, config.n_head, config.n_layer).to(context.device)
    draw = generator("text episodes", config.seed)
    for step, optimizer in adam_steps(list(model.parameters()), config.text_steps, config):
        keys, bound = draw_episodes(config.batch, words, config, draw)
        keys, named = keys.to(context.device), with_captions(keys, bound, config).to(context.device)
        loss = word_loss(model(interleaved(keys, named)), named)
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            context.log(step, text_loss=loss.item())
            context.progress(0.4 * step / config.text_steps)
    return model


def answer(model: Flamingo, images: Tensor, words: Tensor) -> Tensor:
    """Return logits [n, 2 · pairs, V] of episodes with images [n, pairs, 1, 64] and words [n, pairs]."""
    of_image = torch.arange(words.shape[1], device=words.device).repeat_interleave(2)
    return model(interleaved(torch.full_like(words, IMAGE), words), images, of_image)


def train_new_layers(language_model: LanguageModel, digits: DigitImages, config: Config, context: Context) -> Flamingo:
    """Train on episodes with images, without the novel words."""
    torch.manual_seed(derived_seed("new layers for episodes", config.seed))
    model = Flamingo(language_model, 64, 1, config.n_head, "tanh").to(context.device)
    trained = list(chain(model.new.parameters(), model.reader.parameters(), [model.place]))
    draw, words = generator("image episodes", config.seed), range(WORDS, WORDS + config.words - config.novel)
    for step, optimizer in adam_steps(trained, config.steps, config):
        labels, bound = draw_episodes(config.batch, words, config, draw)
        images = draw_images(labels, digits, draw).to(context.device)
        named = with_captions(labels, bound, config).to(context.device)
        logits, captions = answer(model, images, named), round(config.captions * len(named))
        loss = word_loss(logits, named)
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            context.log(
                step, image_loss=loss.item(), episode_loss=word_loss(logits[captions:], named[captions:]).item()
            )
            context.progress(0.4 + 0.6 * step / config.steps)
    return model


def run(config: Config, context: Context) -> dict[str, float]:
    """Train language model and new layers, and ask for novel words.

    Returns:
        `accuracy_<k>`: share of episodes whose word after k examples is the most likely of all tokens; `shuffled_<k>`: with the words
        of the examples taken from the next episode; `ceiling_<k>`: share of episodes in which the examples show the digit asked for;
        `rise_<k>` and `shuffled_rise_<k>`: accuracy after k examples minus that after the next smaller number.
    """
    torch.set_num_threads(config.threads)
    digits, kept = load_split(config.held_out, config.seed)
    model = train_new_layers(train_language_model(config, context), digits, config, context)
    draw, novel = (
        generator("measured episodes", config.seed),
        range(WORDS + config.words - config.novel, WORDS + config.words),
    )
    labels, words = draw_episodes(config.episodes, novel, config, draw)
    images = draw_images(labels, kept, draw).to(context.device)
    row = {}
    with torch.no_grad():
        for name, shown in (("accuracy", words), ("shuffled", words.roll(1, 0))):
            right = answer(model, images, shown.to(context.device))[:, ::2].argmax(-1).cpu() == words  # [n, pairs]
            share = right.float().mean(0).tolist()
            row |= {f"{name}_{k}": share[k] for k in config.shots}
    row |= {f"ceiling_{k}": float((labels[:, :k] == labels[:, k : k + 1]).any(1).float().mean()) for k in config.shots}
    for before, k in zip(config.shots, config.shots[1:], strict=False):
        row[f"rise_{k}"] = row[f"accuracy_{k}"] - row[f"accuracy_{before}"]
        row[f"shuffled_rise_{k}"] = row[f"shuffled_{k}"] - row[f"shuffled_{before}"]
    return row


if __name__ == "__main__":
    for column, value in run(Config(seed=1000), Context()).items():
        print(f"{column:20} {value:g}")
