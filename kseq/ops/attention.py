"""DIN's attention: how much each step of a history says about a candidate."""

from keras import ops

from kseq.checks import check_one_of, check_rank, check_same_dim
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

    Example:

    >>> din_form((None, 50, 8)), din_form((None, 4, 64))
    ('fold', 'split')
    """
    _, steps, dim = keys_shape
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
        query: `(batch, candidates, dim)`.
        keys: `(batch, steps, dim)`.
        kernel: `(4 * dim, units)`.
        bias: `(units,)`.
        form: "split" computes the first line of the second formula, "fold" the
            second; see `din_form`.

    Returns:
        `(batch, candidates, steps, units)`.

    Raises:
        ValueError: `form` is neither.

    Example:

    >>> import numpy as np
    >>> q, k = np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")
    >>> w, b = np.ones((16, 8), "float32"), np.zeros(8, "float32")
    >>> tuple(din_hidden(q, k, w, b).shape)
    (2, 3, 5, 8)
    """
    check_one_of("form", form, ("fold", "split"))
    query, keys = ops.convert_to_tensor(query), ops.convert_to_tensor(keys)
    kernel, bias = ops.convert_to_tensor(kernel), ops.convert_to_tensor(bias)
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
        ValueError: `valid` does not fit `scores`: it is not broadcast.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> scores = np.array([[[1.0, 1.0, 7.0]]], "float32")
    >>> valid = np.array([[True, True, False]])
    >>> weights = attention_weights(scores, valid, normalize=True)
    >>> ops.convert_to_numpy(weights).tolist()
    [[[0.5, 0.5, 0.0]]]
    """
    scores, valid = ops.convert_to_tensor(scores), ops.cast(valid, "bool")
    check_rank("valid", valid.shape, (2,))
    check_same_dim(0, valid=valid.shape, scores=scores.shape)
    check_same_dim(-1, valid=valid.shape, scores=scores.shape)
    valid = ops.expand_dims(valid, 1)
    if normalize:
        return masked_softmax(scores, valid)
    return ops.where(valid, scores, 0.0)


def attention_pool(weights: Tensor, keys: Tensor) -> Tensor:
    r"""The weighted sum of the steps, $\sum_t a_{bkt}\, x_{bt}$.

    Args:
        weights: `(batch, candidates, steps)`, 0 in steps that do not count.
        keys: `(batch, steps, dim)`, finite: see `kseq.ops.zero_padding`.

    Returns:
        `(batch, candidates, dim)`.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> keys = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    >>> pooled = attention_pool(np.array([[[1.0, 0.5]]], "float32"), keys)
    >>> ops.convert_to_numpy(pooled).tolist()
    [[[2.5, 4.0]]]
    """
    # An operator: ops.matmul would round 64 bits to 32 on PyTorch.
    return ops.convert_to_tensor(weights) @ ops.convert_to_tensor(keys)
