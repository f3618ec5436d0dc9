"""Facts in the weights against facts in an index: which model knows what it was not trained on?

Paper: Lewis et al., "Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks", arXiv 2005.11401: section 4.1 and Table 1
(retrieval above closed-book models), section 4.5 (the index is exchanged after training and the answers follow). Serves the claim
`rag/retrieval_beats_closed_book`.

A fact is a key of `key_length` symbols and a value. Two Transformers of the same shape, hence with as many parameters, from the same
initial weights, learn the same facts, the same number of times; the answer is read at the last position of

    closed_book   q                    the question alone: the value must be in the weights
    retrieval     z₁ ... z_k q         the question behind the k passages that the retriever finds, each a key with its value

The retriever is a maximum inner product search over one-hot codes of the keys, position by position: it ranks by the number of
symbols shared, like a search by words. So the right passage comes first by rank, and k − 1 passages that look like it beside it; their order in the
prompt is shuffled, so that the reader must look at the keys. Afterwards, without another step of training,

    added     facts that were in no training step are put into the index, and asked for
    changed   every trained fact gets a value drawn anew, in the index, and is asked for

Hardware and time: see the study's notes. Deviations: keys and values are random symbols instead of questions and Wikipedia; the
retriever is fixed instead of learned and always finds the passage if it is there; one pass over k passages instead of a marginal
over them; trained from scratch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.seeding import generator, seed_all
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """The facts, the model and its training."""

    knowledge: str = "retrieval"
    """`retrieval` or `closed_book`."""
    facts: int = 4096
    """Facts trained on."""
    added: int = 1024
    """Facts added to the index after training."""
    key_length: int = 4
    """Symbols in a key."""
    symbols: int = 32
    """Symbols that keys are made of."""
    values: int = 32
    """Different values; chance is one in so many."""
    passages: int = 2
    """Passages that are retrieved, k."""
    n_layer: int = 2
    """Layers."""
    d_model: int = 64
    """Width."""
    n_head: int = 4
    """Heads."""
    steps: int = 1000
    """Training steps."""
    batch: int = 128
    """Questions in a step."""
    lr: float = 2e-3
    """Peak learning rate of Adam; the same for both models."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; afterwards it falls linearly to 0."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds facts, weights and order; the two models of one seed share all three."""


def shape_of(config: Config) -> TransformerShape:
    """Return the shape, the same for both models.

    Raises:
        ValueError: for an unknown kind of knowledge.
    """
    if config.knowledge not in ("retrieval", "closed_book"):
        raise ValueError(f"knowledge must be retrieval or closed_book, not {config.knowledge!r}")
    return TransformerShape(
        n_layer=config.n_layer, d_model=config.d_model, n_head=config.n_head, d_ff=4 * config.d_model,
        context=config.passages * (config.key_length + 1) + config.key_length, vocabulary=config.symbols + config.values,
        causal=False, norm="pre", positions="sinusoidal",
    )  # fmt: skip


def draw_keys(config: Config, rng: torch.Generator) -> Tensor:
    """Draw the keys [facts + added, key_length], all different."""
    numbers = torch.randperm(config.symbols**config.key_length, generator=rng)[: config.facts + config.added]
    return numbers[:, None] // config.symbols ** torch.arange(config.key_length) % config.symbols


def draw_values(config: Config, count: int, rng: torch.Generator) -> Tensor:
    """Draw values [count], as tokens behind the symbols."""
    return config.symbols + torch.randint(config.values, (count,), generator=rng)


def retrieve(questions: Tensor, keys: Tensor, symbols: int, k: int) -> Tensor:
    """Return the k passages [B, k] whose keys [N, key_length] have the largest inner product with `questions` [B, key_length]."""
    d = F.one_hot(keys, symbols).flatten(1).float()
    found = [
        (F.one_hot(q, symbols).flatten(1).float() @ d.T)
        .topk(k)
        .indices  # a key in the index shares every symbol, no other does
        for q in questions.split(4096)
    ]
    return torch.cat(found)


def prompt_of(questions: Tensor, found: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return z₁ ... z_k q [B, k(key_length + 1) + key_length] for passages `found` [B, k]."""
    passages = torch.cat([keys[found], values[found][..., None]], dim=-1)
    return torch.cat([passages.flatten(1), questions], dim=1)


def shuffled(found: Tensor, rng: torch.Generator) -> Tensor:
    """Put each question's passages [B, k] into an order of its own."""
    order = torch.rand(found.shape, generator=rng).argsort(1).to(found.device)
    return found.gather(1, order)


def answers(model: Transformer, prompt: Tensor, config: Config) -> Tensor:
    """Return the logits [B, values] at the last position of `prompt` [B, S]."""
    return model.hidden(prompt)[:, -1] @ model.embedding.weight[config.symbols :].T


def train(config: Config, keys: Tensor, values: Tensor, found: Tensor, device: str) -> Transformer:
    """Train on the facts: `keys` [facts, key_length], `values` [facts], and what is retrieved for each, `found` [facts, k]."""
    seed_all("closed book", config.seed)
    model = Transformer(shape_of(config)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    warmup = max(1, round(config.warmup * config.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (config.steps - step) / max(1, config.steps - warmup))
    )
    rng, order = generator("questions", config.seed), generator("order of passages", config.seed)
    for _ in range(config.steps):
        asked = torch.randint(config.facts, (config.batch,), generator=rng).to(device)
        prompt = keys[asked]
        if config.knowledge == "retrieval":
            prompt = prompt_of(prompt, shuffled(found[asked], order), keys, values)
        optimizer.zero_grad()
        F.cross_entropy(answers(model, prompt, config), values[asked] - config.symbols).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


def cost(config: Config) -> float:
    """Return the training FLOPs: 6 per weight of the blocks and position of the prompt."""
    read = shape_of(config).context if config.knowledge == "retrieval" else config.key_length
    return 6.0 * 12 * config.n_layer * config.d_model**2 * read * config.batch * config.steps


@torch.no_grad()
def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model, then ask it for what it was taught, for added facts and for changed ones.

    Returns shares of questions answered correctly:
        `trained`: the facts trained on, the index as in training.
        `added`, `changed`: see above; by chance one in `values`.
        `added_wrong`, `changed_wrong`: the same where each question gets the passages found for another one.
        `flops`: as `cost`.
    """
    torch.set_num_threads(config.threads)
    rng = generator("facts", config.seed)
    keys = draw_keys(config, rng).to(context.device)
    values = draw_values(config, len(keys), rng).to(context.device)
    changed = draw_values(config, len(keys), rng).to(context.device)
    facts, order = config.facts, generator("order of passages in the test", config.seed)

    found = retrieve(keys[:facts], keys[:facts], config.symbols, config.passages)
    found_later = retrieve(keys, keys, config.symbols, config.passages)  # the index with the added facts in it
    with torch.enable_grad():
        model = train(config, keys[:facts], values[:facts], found, context.device).eval()

    def share_right(asked: slice, known: Tensor, passages: Tensor) -> float:
        prompt = keys[asked]
        if config.knowledge == "retrieval":
            prompt = prompt_of(prompt, shuffled(passages[asked], order), keys, known)
        right = torch.cat([answers(model, part, config).argmax(-1) for part in prompt.split(1024)])
        return (right == known[asked] - config.symbols).double().mean().item()

    old, new, wrong = slice(0, facts), slice(facts, None), found_later.roll(1, 0)
    return {
        "trained": share_right(old, values, found),
        "added": share_right(new, values, found_later),
        "changed": share_right(old, changed, found_later),
        "added_wrong": share_right(new, values, wrong),
        "changed_wrong": share_right(old, changed, wrong),
        "flops": cost(config),
    }


if __name__ == "__main__":
    for knowledge in ("retrieval", "closed_book"):
        print(knowledge, run(Config(knowledge=knowledge), Context()))
