"""Recurrent networks over padded sequences: GRU and its kin, and LSTM.

Past the end of a sequence the state is carried and the output is 0.
"""

from keras import ops

from kseq.checks import (
    check_bool,
    check_known_dim,
    check_one_of,
    raise_invalid,
)
from kseq.ops.arguments import Sizes, to_floats, to_floats_each
from kseq.ops.backends import (
    fused_lstm,
    loop,
    sigmoid,
    split,
    tanh,
)
from kseq.ops.masks import to_valid, zero_padding
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
        x: float `(batch, steps, dim)`. All other floats are taken in its dtype.
        valid: bool `(batch, steps)`.
        gates: kernel `(dim + units, 2 * units)` and bias `(2 * units,)` of
            $r$ and $u$, in this order.
        candidate: kernel `(dim + units, units)` and bias `(units,)`.
        scores: `(batch, steps)`, for AGRU and AUGRU; else not looked at.
        gru_type: one of "GRU", "AIGRU" (the same; its input was multiplied by
            the scores before), "AGRU", "AUGRU".
        augru_form: "deepctr" or "paper".
        initial_state: `(batch, units)`; None: 0.

    Returns:
        `(outputs, state)`: `(batch, steps, units)`, 0 in steps that do not
        count, and `(batch, units)`, the state after the last that does.

    Raises:
        ValueError: `gru_type` or `augru_form` is none of those above, the
            scores that it needs are missing, a tensor is not of floats or
            `valid` no mask, or shapes do not fit.

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
    sizes: Sizes = {}
    x, valid = _sequence(x, valid, sizes)
    candidate = to_floats_each(
        "candidate",
        candidate,
        [("dim + units", "units"), ("units",)],
        sizes,
    )
    dim, units = x.shape[-1], candidate[0].shape[-1]
    sizes["2 * units"] = 2 * units
    gates = to_floats_each(
        "gates",
        gates,
        [("dim + units", "2 * units"), ("2 * units",)],
        sizes,
    )
    if sizes["dim + units"] != dim + units:
        raise_invalid(
            "gates and candidate",
            f"kernels of {dim} + {units} rows, for x and the state",
            sizes["dim + units"],
        )
    kernel, bias, candidate_kernel, candidate_bias = (
        ops.cast(weight, x.dtype) for weight in (*gates, *candidate)
    )
    # w is a line in u, shift + slope u, of which a step computes no more than
    # it must. Both are 0 past the end, where the state is carried.
    counts = ops.expand_dims(ops.cast(valid, x.dtype), -1)
    shift, slope = counts, -counts
    if gru_type in ("AGRU", "AUGRU"):
        if scores is None:
            raise_invalid("scores", f"(batch, steps), for {gru_type}", None)
        scores = to_floats("scores", scores, ("batch", "steps"), sizes)
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
    axes = ("batch", "units")
    initial_state = to_floats("initial_state", initial_state, axes, sizes)
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
        x: float `(batch, steps, dim)`. All other floats are taken in its dtype.
        valid: bool `(batch, steps)`.
        kernel: `(dim, 4 * units)`.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`.
        reverse: True: from the last step to the first.

    Returns:
        $h$, `(batch, steps, units)`, each at its step; 0 in steps that do not
        count.

    Raises:
        ValueError: a tensor is not of floats or `valid` no mask, shapes do not
            fit, or `reverse` is no bool.

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
    check_bool("reverse", reverse)
    sizes: Sizes = {}
    x, valid = _sequence(x, valid, sizes)
    recurrent_kernel = to_floats("recurrent_kernel", recurrent_kernel)
    units = (*recurrent_kernel.shape, None)[0]
    if tuple(recurrent_kernel.shape) != (units, 4 * (units or 0)):
        raise_invalid(
            "recurrent_kernel",
            "shape (units, 4 * units)",
            tuple(recurrent_kernel.shape),
        )
    sizes["4 * units"] = 4 * units
    kernel = to_floats("kernel", kernel, ("dim", "4 * units"), sizes)
    bias = to_floats("bias", bias, ("4 * units",), sizes)
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


def _sequence(x: Tensor, valid: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """x with 0 in the steps that do not count, and the steps that do."""
    x = to_floats("x", x, ("batch", "steps", "dim"), sizes)
    check_known_dim("x", x.shape, -1)
    valid = to_valid(valid, x)
    return zero_padding(x, valid), valid


def _zeros(x: Tensor, units: int) -> Tensor:
    return ops.zeros((ops.shape(x)[0], units), x.dtype)
