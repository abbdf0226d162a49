"""Histories sampled from a model: codes from the prior or from posteriors, items from the decoder."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, vstack

from minigen.data.interactions import Split
from minigen.errors import InputError
from minigen.ops import top_k
from minigen.synthetic.chain import Sequence_, generate
from minigen.typing import Array

SOURCES = ("prior", "posterior")
_BATCH = 200


class Users(NamedTuple):
    """Synthetic histories: CSR rows (N, columns of the run), and where there is an order, their sequences."""

    rows: csr_matrix
    sequences: list[Sequence_] | None = None


def sample_users(
    model: Any,
    split: Split,
    n: int,
    rng: np.random.Generator,
    source: str = "prior",
    history: csr_matrix | None = None,
    chain: Array | None = None,
) -> Users:
    """Sample n histories: a code each, and as many items as some training user has.   [eq:synthetic-users]

    "prior": z ~ N(0, I); "posterior": z ~ q(z | x) of a training user each, drawn with replacement, or all
    of the one `history` (1, columns), which a `chain` continues.  Items come without replacement, each next
    one by the softmax of the decoder over those that are left (Plackett and Luce).  Of several behaviours
    each has as many items as with one training user, or with a `chain` a sequence of as many actions.
    Raises InputError for a model without codes or decoder to sample from, or n below 1.
    """
    _want_decoder(model, split)
    if n < 1:
        raise InputError(f"users: want at least 1, got {n}")
    if source not in SOURCES:
        raise InputError(f"there is no source {source!r}; there are {', '.join(SOURCES)}")
    like = rng.integers(split.train.shape[0], size=n)  # whose number of items
    codes = rng.standard_normal((n, model.config.latent), dtype=np.float32)
    if history is not None or source == "posterior":
        mu, log_var = model.posterior(split.train[like] if history is None else history)
        codes = mu + np.exp(log_var / 2) * codes
    n_blocks = max(1, len(split.behaviours))
    sizes = _sizes(split.train[like], n_blocks)
    done = None if history is None else history.toarray().reshape(n_blocks, -1) > 0
    parts, sequences = [], []
    for start in range(0, n, _BATCH):
        part = slice(start, start + _BATCH)
        logits = _logits(model, codes[part], n_blocks)
        if chain is None:
            taken = [_without_replacement(x, sizes[part, b], rng) for b, x in enumerate(logits)]
            parts.append(csr_matrix(np.concatenate(taken, axis=1), dtype=np.float32))
            continue
        for row, size in enumerate(sizes[part].sum(axis=1)):
            sequences.append(generate(chain, np.stack([x[row] for x in logits]), int(size), rng, done))
    if chain is not None:
        return Users(csr_of(sequences, len(split.items), n_blocks), sequences)
    return Users(csr_matrix(vstack(parts, format="csr")))


def csr_of(sequences: list[Sequence_], n_columns: int, n_blocks: int) -> csr_matrix:
    """The histories (N, C M) that sequences leave."""
    n_items = n_columns // n_blocks
    column = [b * n_items + item for sequence in sequences for b, item in sequence]
    row = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    return csr_matrix((np.ones(len(column), np.float32), (row, column)), shape=(len(sequences), n_columns))


def _without_replacement(logits: Array, sizes: Array, rng: np.random.Generator) -> Array:
    """Which items each row takes: the `sizes` largest of logits + Gumbel noise, as if drawn one by one."""
    taken = np.zeros(logits.shape, dtype=bool)
    most = min(int(sizes.max()), logits.shape[1])
    if most:
        items, _ = top_k(logits + rng.gumbel(size=logits.shape).astype(logits.dtype), most)
        row, place = np.nonzero((np.arange(most) < sizes[:, None]) & (items >= 0))
        taken[row, items[row, place]] = True
    return taken


def _logits(model: Any, codes: Array, n_blocks: int) -> list[Array]:
    if n_blocks == 1:
        return [model.decode(codes)]
    return [model.logits(codes, behaviour) for behaviour in range(n_blocks)]


def _sizes(rows: csr_matrix, n_blocks: int) -> Array:
    """How many items each row has in each block, (N, C)."""
    n_items = rows.shape[1] // n_blocks
    return np.stack(
        [np.diff(rows[:, b * n_items : (b + 1) * n_items].indptr) for b in range(n_blocks)], axis=1
    )


def _want_decoder(model: Any, split: Split) -> None:
    variance = hasattr(model, "posterior") and model.posterior(split.train[:1])[1] is not None
    likelihood = getattr(getattr(model, "config", None), "likelihood", "multinomial")
    if not variance or likelihood != "multinomial":
        raise InputError(f"{model.id} is no generator of histories; mult-vae, beta-vae and recvae are")
    heads = getattr(model.config, "channels", None)
    if len(split.behaviours) > 1 and (heads is None or len(list(heads.heads())) < len(split.behaviours)):
        raise InputError(f"{model.id} has no head for some behaviour: train it with weights above 0")
