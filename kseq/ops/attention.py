"""DIN's attention: how much each step of a history says about a candidate."""

from keras import ops

from kseq.checks import (
    check_bool,
    check_one_of,
    is_shape,
    raise_invalid,
)
from kseq.ops.arguments import (
    Sizes,
    check_axes,
    to_bools,
    to_floats,
)
from kseq.ops.masks import masked_softmax
from kseq.ops.numerics import linear
from kseq.types import Shape, Tensor


def din_form(keys_shape: Shape) -> str:
    """The faster way to compute `din_hidden`, from what is known of shapes.

    Beside the product that both make, "fold" makes a weight matrix for each
    candidate, dim x units numbers, and "split" one more product over the
    steps' own part, steps x units: so the longer of steps and dim decides. The
    number of candidates multiplies both.

    Args:
        keys_shape: `(batch, steps, dim)`; None for what is not known.

    Returns:
        "fold" or "split".

    Raises:
        ValueError: `keys_shape` is no shape of three sizes.

    Example:

    >>> din_form((None, 50, 8)), din_form((None, 4, 64))
    ('fold', 'split')
    """
    if not is_shape(keys_shape) or len(keys_shape) != 3:
        raise_invalid("keys_shape", "a shape (batch, steps, dim)", keys_shape)
    return faster_form(*keys_shape[1:])


def faster_form(steps: int | None, dim: int | None) -> str:
    return "split" if steps is not None and steps < (dim or 0) else "fold"


def din_hidden(
    query: Tensor,
    keys: Tensor,
    kernel: Tensor,
    bias: Tensor,
    form: str = "fold",
) -> Tensor:
    r"""The first layer of DIN's scorer, for each candidate and each step.

    $$h = [q,\; k,\; q - k,\; q \odot k]\, W + b$$

    The concatenation is never made. With $W$ cut into $W_1 \dots W_4$,

    $$h = q (W_1 + W_3) + k (W_2 - W_3) + (q \odot k) W_4 + b
        = q (W_1 + W_3) + k \bigl(W_2 - W_3 + \mathrm{diag}(q) W_4\bigr) + b.$$

    Args:
        query: float `(batch, candidates, dim)`.
        keys: float `(batch, steps, dim)`, taken in the dtype of `query`.
        kernel: float `(4 * dim, units)`, as `keys`.
        bias: float `(units,)`, as `keys`.
        form: "split" computes the first line of the second formula, "fold" the
            second; see `din_form`.

    Returns:
        `(batch, candidates, steps, units)`.

    Raises:
        ValueError: `form` is neither, an argument is not of floats, or shapes
            do not fit.

    Example:

    >>> import numpy as np
    >>> q, k = np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")
    >>> w, b = np.ones((16, 8), "float32"), np.zeros(8, "float32")
    >>> tuple(din_hidden(q, k, w, b).shape)
    (2, 3, 5, 8)
    """
    check_one_of("form", form, ("fold", "split"))
    sizes: Sizes = {}
    query = to_floats("query", query, ("batch", "candidates", "dim"), sizes)
    keys = to_floats("keys", keys, ("batch", "steps", "dim"), sizes)
    if sizes["dim"] is not None:
        sizes["4 * dim"] = 4 * sizes["dim"]
    kernel = to_floats("kernel", kernel, ("4 * dim", "units"), sizes)
    bias = to_floats("bias", bias, ("units",), sizes)
    keys, kernel, bias = (
        ops.cast(x, query.dtype) for x in (keys, kernel, bias)
    )
    of_query, of_keys, of_both = cut_kernel(kernel)
    from_query = linear(query, of_query, bias)
    return add_keys(from_query, query, keys, of_keys, of_both, form)


def cut_kernel(kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What multiplies query, keys and their product: each `(dim, units)`."""
    of_query, of_keys, of_difference, of_both = ops.split(kernel, 4, axis=0)
    return of_query + of_difference, of_keys - of_difference, of_both


def add_keys(
    from_query: Tensor,
    query: Tensor,
    keys: Tensor,
    of_keys: Tensor,
    of_both: Tensor,
    form: str,
) -> Tensor:
    """`din_hidden`, of which the query's part is there."""
    if form == "split":
        from_query = ops.expand_dims(from_query, 2)
        from_keys = ops.expand_dims(linear(keys, of_keys), 1)
        both = ops.expand_dims(query, 2) * ops.expand_dims(keys, 1)
        return from_query + from_keys + linear(both, of_both)
    if query.shape[1] == 1:
        # Without an axis of 1 the gradient is 1.5 times as fast on JAX.
        folded = of_keys + ops.transpose(query, (0, 2, 1)) * of_both
        return ops.expand_dims(from_query + keys @ folded, 1)
    folded = of_keys + ops.expand_dims(query, -1) * of_both
    return ops.expand_dims(from_query, 2) + ops.expand_dims(keys, 1) @ folded


def attention_weights(
    scores: Tensor, valid: Tensor, normalize: bool = False
) -> Tensor:
    r"""What each step is multiplied by: the score, or a softmax of the scores.

    Args:
        scores: `(batch, candidates, steps)`.
        valid: bool `(batch, steps)`.
        normalize: True: a softmax over the valid steps; False: the scores as
            they are, as in the DIN paper.

    Returns:
        As `scores`; 0 in steps that do not count.

    Raises:
        ValueError: `scores` are not of floats and rank 3, `valid` is no mask or
            does not fit them (it is not broadcast), or `normalize` is no bool.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> scores = np.array([[[1.0, 1.0, 7.0]]], "float32")
    >>> valid = np.array([[True, True, False]])
    >>> weights = attention_weights(scores, valid, normalize=True)
    >>> ops.convert_to_numpy(weights).tolist()
    [[[0.5, 0.5, 0.0]]]
    """
    check_bool("normalize", normalize)
    sizes: Sizes = {}
    axes = ("batch", "candidates", "steps")
    scores, valid = (
        to_floats("scores", scores, axes, sizes),
        to_bools("valid", valid),
    )
    check_axes("valid", valid.shape, ("batch", "steps"), sizes)
    valid = ops.expand_dims(valid, 1)
    if normalize:
        return masked_softmax(scores, valid)
    return ops.where(valid, scores, 0.0)


def attention_pool(weights: Tensor, keys: Tensor) -> Tensor:
    r"""The weighted sum of the steps, $\sum_t a_{bkt}\, x_{bt}$.

    Args:
        weights: float `(batch, candidates, steps)`, 0 in steps that do not
            count.
        keys: float `(batch, steps, dim)`, finite: see `kseq.ops.zero_padding`;
            taken in the dtype of `weights`.

    Returns:
        `(batch, candidates, dim)`.

    Raises:
        ValueError: an argument is not of floats, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> keys = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    >>> pooled = attention_pool(np.array([[[1.0, 0.5]]], "float32"), keys)
    >>> ops.convert_to_numpy(pooled).tolist()
    [[[2.5, 4.0]]]
    """
    sizes: Sizes = {}
    axes = ("batch", "candidates", "steps")
    weights = to_floats("weights", weights, axes, sizes)
    keys = to_floats("keys", keys, ("batch", "steps", "dim"), sizes)
    # An operator: ops.matmul would round 64 bits to 32 on PyTorch.
    return weights @ ops.cast(keys, weights.dtype)
