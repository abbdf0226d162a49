"""Recommenders trained step by step: the autoencoder of sparse rows as a model with settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix

from minigen import backends
from minigen.data.interactions import HeldOut, pairs_hash
from minigen.evaluation.evaluate import evaluate
from minigen.ops import dropout_mask
from minigen.optimizers import Optimizer, make_optimizer
from minigen.recommender import autoencoder
from minigen.recommender.autoencoder import Buffers
from minigen.recommender.base import Recommender, canonical, want_arrays
from minigen.recommender.sampled import Proposal, catch_up, give, popularity, sample, take
from minigen.recommender.settings import Settings
from minigen.schedules import cosine_decay, linear_warmup
from minigen.training.loop import Plan, State, train
from minigen.training.settings import with_settings
from minigen.typing import Array, Params

VALIDATION_K = 100  # model choice is by NDCG at this depth, or at the whole catalogue where it is smaller


class AutoencoderRecommender(Recommender):
    """An autoencoder of sparse rows, variational or not, as a recommender; a subclass gives the defaults.

    Keyword arguments are the fields of `Settings`; raises InputError for another name or a bad value.
    """

    family: ClassVar[str] = "generative"
    defaults: ClassVar[Settings]

    def __init__(self, **settings: Any) -> None:
        self.config = with_settings(self.id, self.defaults, settings)
        self.ops = backends.load(self.config.backend)
        self.params: Params = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.state = State()
        self._steps_per_epoch = 1
        self._proposal: Proposal | None = None
        self._buffers = Buffers(self.ops)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, by name."""
        return asdict(self.config)

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        return self.params["b_out"].shape[0] if self.params else 0

    def fit(
        self,
        train_rows: csr_matrix,
        validation: HeldOut | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        until: int | None = None,
        checkpoint_seconds: float = 60.0,
        report: Callable[[State, dict[str, float]], None] | None = None,
    ) -> Self:
        """Train on the rows of `train_rows` (U, M), stopping early on the NDCG@100 of `validation`.

        `run` is a folder for checkpoints, from which `resume` goes on; `until` pauses after so many epochs.
        `report` is called after every step and epoch.  Rows without a click teach nothing and are left out.
        """
        rows = canonical(train_rows)
        with_clicks = np.diff(rows.indptr) > 0
        rows = rows if with_clicks.all() else rows[with_clicks]  # rows on the disk stay there
        config = self.config
        plan = Plan(config.epochs, config.batch, config.seed, config.patience, checkpoint_seconds)
        self.start(rows)
        self.state = train(
            self,
            rows,
            plan,
            validate=None if validation is None else lambda: self._validate(validation),
            finish=lambda: self._finish(validation),
            run=None if run is None else Path(run),
            resume=resume,
            until=until,
            about={"model": self.id, "settings": self.settings, "data_hash": pairs_hash(rows)},
            report=report,
            ops=self.ops,
        )
        self._buffers = Buffers(self.ops)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that training has chosen by validation."""
        return {"epochs": self.state.best_epoch}

    def _finish(self, validation: HeldOut | None) -> Params:
        """What a subclass has left to learn for the weights it is served with: some that replace others."""
        return {}

    def start(self, rows: csr_matrix) -> None:
        """Draw the weights that training on `rows` (U, M) begins with."""
        config, rng = self.config, np.random.default_rng([self.config.seed, 0])
        self._steps_per_epoch = math.ceil(rows.shape[0] / config.batch)
        drawn = autoencoder.init_params(rows.shape[1], config.hidden, config.latent, config.form, rng)
        self.params = self.ops.put(drawn)
        self.optimizers = {"all": make_optimizer(config.optimizer, config.lr, config.momentum, self.ops)}
        self._proposal = Proposal(popularity(rows)) if config.negatives else None

    def train_step(self, rows: csr_matrix, rng: np.random.Generator, step: int) -> dict[str, float]:
        """One forward, backward and optimiser step on a batch of rows."""
        config, form, ops, beta = self.config, self.config.form, self.ops, self.beta(step)
        optimizer: Any = self.optimizers["all"]
        if config.lr_schedule == "cosine":
            optimizer.lr = cosine_decay(step, config.epochs * self._steps_per_epoch, config.lr)
        mask = ops.put(dropout_mask(rows.nnz, form.keep, rng)) if form.keep < 1 else None
        shape = rows.shape[0], config.latent
        eps = ops.put(rng.standard_normal(shape, dtype=np.float32)) if form.stochastic else None
        if self._proposal is None:
            terms, grads = self._gradients(self.params, ops.put(rows), mask, eps, beta)
        else:
            drawn = sample(self._proposal, self.params, optimizer, rows, config.negatives, rng)
            terms, grads = self._gradients(take(self.params, drawn), drawn.x, mask, eps, beta)
            grads = give(grads, drawn)
        optimizer.step({name: self.params[name] for name in grads}, grads)
        if self._proposal is not None and (step + 1) % self._steps_per_epoch == 0:
            catch_up(self.params, optimizer)  # the epoch's weights are measured and kept
        # Only now does the host wait for numbers of a device.
        return {"loss": terms.loss, "nll": float(terms.nll), "kl": float(terms.kl), "beta": beta}

    def beta(self, step: int) -> float:
        """The weight of the KL term at a step."""
        return linear_warmup(step, round(self.config.anneal_epochs * self._steps_per_epoch), self.config.beta)

    def _gradients(
        self, params: Params, x: Any, mask: Any, eps: Any, beta: float
    ) -> tuple[autoencoder.Terms, Params]:
        """The loss of a batch in its terms, and its gradient in every parameter."""
        form, ops = self.config.form, self.ops
        terms, cache = autoencoder.forward(params, x, form, mask, eps, beta, self._buffers, ops)
        whole = bool(form.l2 or self._proposal) or self.config.optimizer != "adam"  # Adam can multiply itself
        return terms, autoencoder.backward(cache, form, beta, self._buffers, ops, whole)

    def score(self, histories: csr_matrix) -> Array:
        """Logits (B, M) of the decoder at the posterior mean of each history."""
        return self.decode(self.codes(histories))

    def codes(self, histories: csr_matrix) -> Array:
        """Posterior means (B, Z) of the codes of histories."""
        return self.posterior(histories)[0]

    def posterior(self, histories: csr_matrix) -> tuple[Array, Array | None]:
        """Mean and log-variance of the codes of histories, each (B, Z); None where codes have no variance."""
        ops = self.ops
        x = ops.put(canonical(histories))
        mu, log_var, _ = autoencoder.encode(self.params, x, self.config.form, ops=ops)
        return ops.get(mu), None if log_var is None else ops.get(log_var)

    def decode(self, codes: Array) -> Array:
        """Logits (B, M) of codes (B, Z)."""
        ops = self.ops
        return ops.get(autoencoder.decode(self.params, ops.put(codes), self.config.form, ops=ops)[0])

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d <scores, d_scores> / d x at the clicks, through decoder and encoder at the posterior mean."""
        form, ops = self.config.form, self.ops
        mu, _, encoder = autoencoder.encode(self.params, ops.put(histories), form, ops=ops)
        _, decoder = autoencoder.decode(self.params, mu, form, ops=ops)
        return ops.get(autoencoder.clicks_backward(ops.put(d_scores), encoder, decoder, form, ops))

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where names or shapes are not this model's."""
        n_items, config = arrays["b_out"].shape[0], self.config
        wanted = autoencoder.shapes(n_items, config.hidden, config.latent, config.stochastic)
        want_arrays(arrays, wanted)
        super().restore(self.ops.put(arrays))

    def _validate(self, held: HeldOut) -> float:
        metric = f"ndcg@{min(VALIDATION_K, self.n_items)}"
        return evaluate(self, held, metrics=(metric,)).mean(metric)
