"""Recurrent networks over padded sequences: GRU and its variants, and LSTM.

In padded steps the state is carried over and the output is 0.
"""

from keras import ops

from kseq.checks import check_bool, check_one_of, raise_invalid
from kseq.ops.backends import fused_lstm, loop, sigmoid, split, tanh
from kseq.ops.masks import expand_mask, zero_padding
from kseq.ops.validation import takes
from kseq.types import Shape, Tensor, Tensors

GRU_TYPES = ("GRU", "AIGRU", "AGRU", "AUGRU")
AUGRU_FORMS = ("deepctr", "paper")


@takes(
    # The bias first: its size is units, from which the kernel's gives dim.
    candidate_bias="float units",
    candidate_kernel="float dim+units units",
    gates_kernel="float dim+units 2*units",
    gates_bias="float 2*units",
    x="float batch steps dim",
    valid="bool batch steps",
    scores="float batch steps ...",
    initial_state="float batch units",
    candidate_state_bias="float units",
)
def gru(
    x: Tensor,
    valid: Tensor,
    gates_kernel: Tensor,
    gates_bias: Tensor,
    candidate_kernel: Tensor,
    candidate_bias: Tensor,
    scores: Tensor | None = None,
    gru_type: str = "GRU",
    augru_form: str = "deepctr",
    initial_state: Tensor | None = None,
    candidate_state_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""A gated recurrent unit whose update may be controlled by attention.

    $$[r_t, u_t] = \sigma([x_t, h_{t-1}] W_g + b_g), \qquad
      c_t = \tanh([x_t, r_t \odot h_{t-1}] W_c + b_c)$$
    $$h_t = h_{t-1} + w_t \odot (c_t - h_{t-1})$$

    where, with the score $a_t$ of step $t$,

    - GRU: $w_t = 1 - u_t$;
    - AIGRU: the same, of the inputs $a_t x_t$;
    - AGRU: $w_t = a_t$;
    - AUGRU: $w_t = 1 - (1 - a_t) u_t$ (DeepCTR and the authors' code), or
      $w_t = a_t u_t$ (the paper).

    With `candidate_state_bias` $b_h$, the reset gate multiplies the projected
    state, as in PyTorch's GRU: $c_t = \tanh(x_t W_x + b_c + r_t \odot
    (h_{t-1} W_h + b_h))$, where $W_c$ consists of the rows $W_x$ and $W_h$.

    Args:
        x: float `(batch, steps, dim)`. All other floats are cast to its dtype.
        valid: bool `(batch, steps)`.
        gates_kernel: `(dim + units, 2 * units)`, of $r$ and $u$ in this order.
        gates_bias: `(2 * units,)`.
        candidate_kernel: `(dim + units, units)`.
        candidate_bias: `(units,)`.
        scores: `(batch, steps)`; or `(batch, steps, candidates)`, for one unit
            for each candidate, all of which read the same sequence. Required by
            AGRU and AUGRU, ignored by GRU; without them, AIGRU takes inputs
            that were multiplied by the scores.
        gru_type: "GRU", "AIGRU", "AGRU" or "AUGRU".
        augru_form: "deepctr" or "paper".
        initial_state: `(batch, units)`; None: 0.
        candidate_state_bias: `(units,)`, or None.

    Returns:
        `(outputs, state)`: `(batch, steps, units)`, 0 in padded steps, and
        `(batch, units)`, the state after the last valid step. With a
        candidates axis, `(batch, steps, candidates, units)` and
        `(batch, candidates, units)`.

    Raises:
        ValueError: `gru_type` or `augru_form` is unknown, required scores are
            missing, a tensor has a wrong dtype, or shapes do not fit.

    Reference:
        Zhou et al., [Deep Interest Evolution
        Network](https://arxiv.org/abs/1809.03672), 2019, equations 2-6.

    Example:

    >>> import numpy as np
    >>> x, valid = np.ones((2, 5, 3), "float32"), np.ones((2, 5), bool)
    >>> gates = np.ones((7, 8), "float32"), np.ones(8, "float32")
    >>> candidate = np.ones((7, 4), "float32"), np.zeros(4, "float32")
    >>> outputs, state = gru(x, valid, *gates, *candidate)
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 4), (2, 4))
    """
    check_one_of("gru_type", gru_type, GRU_TYPES)
    check_one_of("augru_form", augru_form, AUGRU_FORMS)
    if gru_type in ("AGRU", "AUGRU") and scores is None:
        raise_invalid("scores", f"shape (batch, steps), for {gru_type}", None)
    if scores is not None and len(scores.shape) > 3:
        expected = "shape (batch, steps) or (batch, steps, candidates)"
        raise_invalid("scores", expected, tuple(scores.shape))
    if gru_type == "GRU":
        scores = None
    x = zero_padding(x, valid)
    units = candidate_bias.shape[0]
    state_shape: Shape = (ops.shape(x)[0], units)
    if scores is not None:
        scores = ops.cast(zero_padding(scores, valid), x.dtype)
        scores = ops.expand_dims(scores, -1)
        if len(scores.shape) == 4:
            # Broadcast in each step, after the projection of the input.
            x = ops.expand_dims(x, 2)
            state_shape = (state_shape[0], ops.shape(scores)[2], units)
    w_gates, b_gates, w_candidate, b_candidate, *b_state = (
        ops.cast(w, x.dtype)
        for w in (
            *(gates_kernel, gates_bias, candidate_kernel, candidate_bias),
            candidate_state_bias,
        )
        if w is not None
    )
    dim = w_candidate.shape[0] - units
    # w = shift + slope u, of which a step computes no more than it must. Both
    # are 0 in padded steps, where the state is carried over.
    keep = expand_mask(ops.cast(valid, x.dtype), len(x.shape))
    shift, slope = keep, -keep
    if scores is not None and gru_type == "AIGRU":
        x = x * scores
    elif scores is not None and gru_type == "AGRU":
        shift, slope = scores, ops.zeros_like(scores)
    elif scores is not None and augru_form == "paper":
        shift, slope = ops.zeros_like(scores), scores
    elif scores is not None:
        slope = keep * (scores - 1.0)
    if initial_state is None:
        initial_state = ops.zeros(state_shape, x.dtype)
    elif len(state_shape) == 3:
        initial_state = ops.expand_dims(initial_state, 1)
        initial_state = ops.broadcast_to(initial_state, state_shape)
    outputs, (state,) = loop(
        _gru_step,
        (x, shift, slope),
        (ops.cast(initial_state, x.dtype),),
        (w_gates[dim:], w_candidate[dim:], *b_state),
        valid=valid,
        projection=(
            ops.concatenate([w_gates[:dim], w_candidate[:dim]], axis=1),
            ops.concatenate([b_gates, b_candidate], axis=0),
        ),
    )
    return zero_padding(outputs, valid), state


def _gru_step(inputs: Tensors, states: Tensors, weights: Tensors) -> Tensors:
    projected, shift, slope = inputs
    (h,) = states
    w_gates, w_candidate, *b_state = weights
    units = w_candidate.shape[-1]
    x_gates, x_candidate = split(projected, (2 * units, units))
    r, u = split(sigmoid(x_gates + h @ w_gates), (units, units))
    if b_state:
        c = tanh(x_candidate + r * (h @ w_candidate + b_state[0]))
    else:
        c = tanh(x_candidate + (r * h) @ w_candidate)
    return (h + (shift + slope * u) * (c - h),)


@takes(
    recurrent_kernel="float units 4*units",
    kernel="float dim 4*units",
    bias="float 4*units",
    x="float batch steps dim",
    valid="bool batch steps",
)
def lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool = False,
) -> Tensor:
    r"""A long short-term memory, in either direction.

    $$[i, f, g, o] = x_t W + h_{t-1} U + b, \qquad
      c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g), \qquad
      h_t = \sigma(o) \odot \tanh(c_t)$$

    Args:
        x: float `(batch, steps, dim)`. All other floats are cast to its dtype.
        valid: bool `(batch, steps)`.
        kernel: `(dim, 4 * units)`.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`.
        reverse: True: from the last step to the first.

    Returns:
        $h$, `(batch, steps, units)`; 0 in padded steps.

    Raises:
        ValueError: a tensor has a wrong dtype, shapes do not fit, or `reverse`
            is not a bool.

    Reference:
        Hochreiter and Schmidhuber, [Long Short-Term
        Memory](https://doi.org/10.1162/neco.1997.9.8.1735), 1997, with the
        forget gate of Gers et al., 2000.

    Example:

    >>> import numpy as np
    >>> x, valid = np.ones((2, 5, 3), "float32"), np.ones((2, 5), bool)
    >>> kernel = np.ones((3, 16), "float32")
    >>> recurrent_kernel = np.ones((4, 16), "float32")
    >>> bias = np.ones(16, "float32")
    >>> tuple(lstm(x, valid, kernel, recurrent_kernel, bias).shape)
    (2, 5, 4)
    """
    check_bool("reverse", reverse)
    x = zero_padding(x, valid)
    kernel, recurrent_kernel, bias = (
        ops.cast(w, x.dtype) for w in (kernel, recurrent_kernel, bias)
    )
    outputs = fused_lstm(x, valid, kernel, recurrent_kernel, bias, reverse)
    if outputs is None:
        outputs = _lstm(x, valid, kernel, recurrent_kernel, bias, reverse)
    return zero_padding(outputs, valid)


def _lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool,
) -> Tensor:
    """`lstm` as a loop, whose outputs in padded steps are arbitrary."""
    units = recurrent_kernel.shape[0]
    if reverse:
        x, valid = ops.flip(x, axis=1), ops.flip(valid, axis=1)
    keep = ops.expand_dims(ops.cast(valid, x.dtype), -1)
    start = ops.zeros((ops.shape(x)[0], units), x.dtype)
    outputs, _ = loop(
        _lstm_step,
        (x, keep),
        (start, start),
        (recurrent_kernel,),
        valid=valid,
        projection=(kernel, bias),
    )
    return ops.flip(outputs, axis=1) if reverse else outputs


def _lstm_step(inputs: Tensors, states: Tensors, weights: Tensors) -> Tensors:
    projected, keep = inputs
    h, c = states
    (recurrent_kernel,) = weights
    z = projected + h @ recurrent_kernel
    i, f, g, o = split(z, (recurrent_kernel.shape[0],) * 4)
    new_c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    new_h = sigmoid(o) * tanh(new_c)
    # Not c + keep * (new_c - c), see tensorflow_loop.
    skip = 1.0 - keep
    return skip * h + keep * new_h, skip * c + keep * new_c
