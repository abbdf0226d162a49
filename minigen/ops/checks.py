"""Shape checks of the public operations; the private kernels trust them."""

from __future__ import annotations

import numpy as np

from minigen.typing import CSR


def want_shape(name: str, array: np.ndarray | CSR, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless `array` has `shape`; None stands for any size."""
    got = array.shape
    if len(got) != len(shape) or any(w is not None and w != g for w, g in zip(shape, got)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name}: want shape ({wanted}), got {tuple(got)}")


def want_examples(name: str, array: np.ndarray) -> None:
    """Raise ValueError unless `array` (B, ...) has an example: a mean over none is no number."""
    if not array.shape[0]:
        sizes = ", ".join(map(str, array.shape[1:]))
        raise ValueError(f"{name}: want shape (1 or more, {sizes}), got {tuple(array.shape)}")


def want_canonical(name: str, x: CSR) -> None:
    """Raise ValueError where a CSR matrix names a column twice in a row: a gradient would count it once."""
    if not x.has_canonical_format:
        raise ValueError(f"{name}: want every column at most once in a row; call sum_duplicates() first")


def want_same_shape(**arrays: np.ndarray | CSR) -> None:
    """Raise ValueError unless all the named arrays have one shape."""
    (first, model), *rest = arrays.items()
    for name, array in rest:
        if array.shape != model.shape:
            raise ValueError(
                f"{name}: want the shape of {first}, {tuple(model.shape)}, got {tuple(array.shape)}"
            )


def want_same_pattern(**matrices: CSR) -> None:
    """Raise ValueError unless all the named CSR matrices have entries at the same places."""
    want_same_shape(**matrices)
    (first, model), *rest = matrices.items()
    for name, x in rest:
        for got, wanted in ((x.indptr, model.indptr), (x.indices, model.indices)):
            if not np.array_equal(got, wanted):
                raise ValueError(
                    f"{name}: want the pattern of {first}, {tuple(model.shape)} with {model.nnz} entries, "
                    f"got {x.nnz} entries at other places"
                )
