"""Recurrent networks over padded sequences: GRU and its kin, and LSTM.

Past the end of a sequence the state is carried and the output is 0.
"""

from keras import ops

from kseq.checks import check_one_of, check_rank, refuse
from kseq.ops.backends import (
    fused_lstm,
    loop,
    sigmoid,
    split,
    tanh,
)
from kseq.ops.masks import check_mask, zero_padding
from kseq.types import Tensor, Tensors

GRU_TYPES = ("GRU", "AIGRU", "AGRU", "AUGRU")
AUGRU_FORMS = ("deepctr", "paper")


def gru(
    x: Tensor,
    valid: Tensor,
    gates: tuple[Tensor, Tensor],
    candidate: tuple[Tensor, Tensor],
    scores: Tensor | None = None,
    gru_type: str = "GRU",
    augru_form: str = "deepctr",
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""A gated recurrent unit, in which attention may decide what is kept.

    $$[r_t, u_t] = \sigma([x_t, h_{t-1}] W_g + b_g), \qquad
      c_t = \tanh([x_t, r_t \odot h_{t-1}] W_c + b_c)$$
    $$h_t = h_{t-1} + w_t \odot (c_t - h_{t-1})$$

    where, with the score $a_t$ of step $t$,

    - GRU and AIGRU: $w_t = 1 - u_t$;
    - AGRU: $w_t = a_t$;
    - AUGRU: $w_t = 1 - (1 - a_t) u_t$ (DeepCTR and the authors' code), or
      $w_t = a_t u_t$ (the paper).

    Args:
        x: `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.
        gates: kernel `(dim + units, 2 * units)` and bias `(2 * units,)` of
            $r$ and $u$, in this order.
        candidate: kernel `(dim + units, units)` and bias `(units,)`.
        scores: `(batch, steps)`, for AGRU and AUGRU.
        gru_type: one of "GRU", "AIGRU" (the same; its input was multiplied by
            the scores before), "AGRU", "AUGRU".
        augru_form: "deepctr" or "paper".
        initial_state: `(batch, units)`; None: 0.

    Returns:
        `(outputs, state)`: `(batch, steps, units)`, 0 in steps that do not
        count, and `(batch, units)`, the state after the last that does.

    Raises:
        ValueError: `gru_type` or `augru_form` is none of those above, the
            scores that it needs are missing, or shapes do not fit.

    Reference:
        Zhou et al., Deep Interest Evolution Network, 2019, equations 2-6.

    Example:

    >>> import numpy as np
    >>> x, valid = np.ones((2, 5, 3), "float32"), np.ones((2, 5), bool)
    >>> gates = np.ones((7, 8), "float32"), np.ones(8, "float32")
    >>> candidate = np.ones((7, 4), "float32"), np.zeros(4, "float32")
    >>> outputs, state = gru(x, valid, gates, candidate)
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 4), (2, 4))
    """
    check_one_of("gru_type", gru_type, GRU_TYPES)
    check_one_of("augru_form", augru_form, AUGRU_FORMS)
    x, valid = _sequence(x, valid)
    kernel, bias = map(ops.convert_to_tensor, gates)
    candidate_kernel, candidate_bias = map(ops.convert_to_tensor, candidate)
    dim, units = x.shape[-1], candidate_kernel.shape[-1]
    _check_kernel("gates", kernel, dim + units, 2 * units)
    _check_kernel("candidate", candidate_kernel, dim + units, units)
    # w is a line in u, shift + slope u, of which a step computes no more than
    # it must. Both are 0 past the end, where the state is carried.
    counts = ops.expand_dims(ops.cast(valid, x.dtype), -1)
    shift, slope = counts, -counts
    if gru_type in ("AGRU", "AUGRU"):
        if scores is None:
            refuse("scores", f"(batch, steps), for {gru_type}", None)
        scores = ops.convert_to_tensor(scores)
        check_rank("scores", scores.shape, (2,))
        scores = ops.cast(zero_padding(scores, valid), x.dtype)
        scores = ops.expand_dims(scores, -1)
        if gru_type == "AGRU":
            shift, slope = scores, ops.zeros_like(scores)
        elif augru_form == "paper":
            shift, slope = ops.zeros_like(scores), scores
        else:
            slope = counts * (scores - 1.0)

    if initial_state is None:
        initial_state = _zeros(x, units)
    outputs, (state,) = loop(
        _gru_step,
        (x, shift, slope),
        (ops.cast(initial_state, x.dtype),),
        (kernel[dim:], candidate_kernel[dim:]),
        valid=valid,
        projection=(
            ops.concatenate([kernel[:dim], candidate_kernel[:dim]], axis=1),
            ops.concatenate([bias, candidate_bias], axis=0),
        ),
    )
    return zero_padding(outputs, valid), state


def _gru_step(inputs: Tensors, states: Tensors, weights: Tensors) -> Tensors:
    from_inputs, shift, slope = inputs
    (h,) = states
    of_gates, of_candidate = weights
    units = of_candidate.shape[-1]
    to_gates, to_candidate = split(from_inputs, (2 * units, units))
    r_u = sigmoid(to_gates + h @ of_gates)
    r, u = split(r_u, (units, units))
    c = tanh(to_candidate + (r * h) @ of_candidate)
    return (h + (shift + slope * u) * (c - h),)


def lstm(
    x: Tensor,
    valid: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    reverse: bool = False,
) -> Tensor:
    r"""A long short-term memory, from either end of the sequences.

    $$[i, f, g, o] = x_t W + h_{t-1} U + b, \qquad
      c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g), \qquad
      h_t = \sigma(o) \odot \tanh(c_t)$$

    Args:
        x: `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.
        kernel: `(dim, 4 * units)`.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`.
        reverse: True: from the last step to the first.

    Returns:
        $h$, `(batch, steps, units)`, each at its step; 0 in steps that do not
        count.

    Raises:
        ValueError: shapes do not fit.

    Reference:
        Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, with the
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
    x, valid = _sequence(x, valid)
    kernel, recurrent_kernel, bias = map(
        ops.convert_to_tensor, (kernel, recurrent_kernel, bias)
    )
    units = recurrent_kernel.shape[0]
    _check_kernel("kernel", kernel, x.shape[-1], 4 * units)
    _check_kernel("recurrent_kernel", recurrent_kernel, units, 4 * units)
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
    """`lstm` as a loop; past the end there is the last state."""
    units = recurrent_kernel.shape[0]
    if reverse:
        x, valid = ops.flip(x, axis=1), ops.flip(valid, axis=1)
    counts = ops.expand_dims(ops.cast(valid, x.dtype), -1)

    start = _zeros(x, units)
    outputs, _ = loop(
        _lstm_step,
        (x, counts),
        (start, start),
        (recurrent_kernel,),
        valid=valid,
        projection=(kernel, bias),
    )
    return ops.flip(outputs, axis=1) if reverse else outputs


def _lstm_step(inputs: Tensors, states: Tensors, weights: Tensors) -> Tensors:
    from_inputs, count = inputs
    h, c = states
    (recurrent_kernel,) = weights
    z = from_inputs + h @ recurrent_kernel
    i, f, g, o = split(z, (recurrent_kernel.shape[0],) * 4)
    new_c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    new_h = sigmoid(o) * tanh(new_c)
    # Not c + count (new_c - c): see tensorflow_loop.
    keep = 1.0 - count
    return keep * h + count * new_h, keep * c + count * new_c


def _sequence(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """x with 0 in the steps that do not count, and the steps that do."""
    x = ops.convert_to_tensor(x)
    check_rank("x", x.shape, (3,))
    valid = check_mask(valid, x)
    check_rank("valid", valid.shape, (2,))
    return zero_padding(x, valid), valid


def _check_kernel(name: str, kernel: Tensor, *sizes: int) -> None:
    if tuple(kernel.shape) != sizes:
        refuse(name, f"a kernel of shape {sizes}", tuple(kernel.shape))


def _zeros(x: Tensor, units: int) -> Tensor:
    return ops.zeros((ops.shape(x)[0], units), x.dtype)
