"""Slips of CFGAN: what D sees, what G hears of it, and the terms beside."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.gradcheck.slips.registry import wrong_cache, wrong_result


@wrong_cache("cfgan-generator")
def mask_forgotten(cache: Any) -> Any:
    """The gradient reaches G at places that D never saw."""
    return cache._replace(mask=None)


@wrong_cache("cfgan-generator")
def deaf_generator(cache: Any) -> Any:
    """y detached before D: G hears nothing of the verdict."""
    return cache._replace(verdict=None)


@wrong_cache("cfgan-generator")
def half_a_square(cache: Any) -> Any:
    """d y^2 = y: the 2 of the zero reconstruction is lost."""
    return cache._replace(loud=cache.loud / 2)


@wrong_cache("cfgan-generator")
def l2_without_its_half(cache: Any) -> Any:
    """d (l2/2 w^2) = 2 l2 w: the gradient of a sum of squares without its half."""
    return cache._replace(form=cache.form._replace(l2_g=2 * cache.form.l2_g))


@wrong_result("cfgan-generator", caught_by="generator_has_all_terms")
def zeros_everywhere(loss: float, cache: Any) -> tuple[float, Any]:
    """Zero reconstruction at every place, clicks and all, in both passes."""
    generator, form = cache.generator, cache.form
    y = generator.last.x @ generator.last.w + cache.g["b_out"]
    more = form.zeros * ((y - cache.loud) * y).sum() / len(y)
    return loss + more, cache._replace(loud=y)


@wrong_cache("cfgan-discriminator")
def condition_forgotten(cache: Any) -> Any:
    """The condition's weights learn nothing from fakes."""
    x = cache.real.condition
    none = type(x)(x.shape, dtype=x.dtype)
    real = cache.real._replace(condition=none)
    return cache._replace(real=real)


@wrong_cache("cfgan-discriminator")
def fakes_stop_at_the_top(cache: Any) -> Any:
    """The fakes are in the loss, and their gradient stops at D's last layer."""
    fake = cache.fake
    return cache._replace(fake=fake._replace(last=fake.last._replace(w=np.zeros_like(fake.last.w))))
