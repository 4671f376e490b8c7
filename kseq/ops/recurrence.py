"""Recurrent networks over padded sequences: GRU and its kin, and LSTM.

Past the end of a sequence the state is carried and the output is 0.
"""

from keras import ops

from kseq.checks import check_one_of, refuse
from kseq.ops.loops import loop
from kseq.ops.masks import zero_padding
from kseq.ops.numerics import linear, tanh
from kseq.types import Tensor

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
        ValueError: `gru_type` or `augru_form` is none of those above, or the
            scores that it needs are missing.

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
    x = ops.convert_to_tensor(x)
    dim = x.shape[-1]
    kernel, bias = map(ops.convert_to_tensor, gates)
    candidate_kernel, candidate_bias = map(ops.convert_to_tensor, candidate)
    units = candidate_kernel.shape[-1]
    x = zero_padding(x, valid)
    # What a step does to its state; 0 carries it past the end.
    counts = ops.expand_dims(ops.cast(valid, x.dtype), -1)
    sequences = [
        # The inputs' part, of all steps at once.
        linear(x, kernel[:dim], bias),
        linear(x, candidate_kernel[:dim], candidate_bias),
        counts,
    ]
    attended = gru_type in ("AGRU", "AUGRU")
    if attended and scores is None:
        refuse("scores", f"(batch, steps), for {gru_type}", None)
    if attended:
        scores = ops.expand_dims(zero_padding(scores, valid), -1)
        sequences.append(ops.cast(scores, x.dtype))

    def step(inputs, states, weights):  # type: ignore[no-untyped-def]
        from_input, candidate_from_input, count, *score = inputs
        (h,) = states
        of_gates, of_candidate = weights
        r_u = ops.sigmoid(from_input + h @ of_gates)
        r, u = r_u[:, :units], r_u[:, units:]
        c = tanh(candidate_from_input + (r * h) @ of_candidate)
        if gru_type == "AGRU":
            w = score[0]
        elif gru_type == "AUGRU" and augru_form == "paper":
            w = score[0] * u
        elif gru_type == "AUGRU":
            w = 1.0 - (1.0 - score[0]) * u
        else:
            w = 1.0 - u
        return (h + count * w * (c - h),)

    if initial_state is None:
        initial_state = _zeros(x, units)
    initial_state = ops.cast(initial_state, x.dtype)
    outputs, (state,) = loop(
        step,
        tuple(sequences),
        (initial_state,),
        (kernel[dim:], candidate_kernel[dim:]),
    )
    return zero_padding(outputs, valid), state


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
    valid = ops.convert_to_tensor(valid)
    x = zero_padding(x, valid)
    recurrent_kernel = ops.convert_to_tensor(recurrent_kernel)
    units = recurrent_kernel.shape[0]
    counts = ops.expand_dims(ops.cast(valid, x.dtype), -1)
    sequences = (linear(x, kernel, bias), counts)
    if reverse:
        sequences = tuple(ops.flip(s, axis=1) for s in sequences)

    def step(inputs, states, weights):  # type: ignore[no-untyped-def]
        from_input, count = inputs
        h, c = states
        z = from_input + h @ weights[0]
        i, f, g, o = (z[:, n * units : (n + 1) * units] for n in range(4))
        new_c = ops.sigmoid(f) * c + ops.sigmoid(i) * tanh(g)
        new_h = ops.sigmoid(o) * tanh(new_c)
        return h + count * (new_h - h), c + count * (new_c - c)

    start = _zeros(x, units)
    outputs, _ = loop(step, sequences, (start, start), (recurrent_kernel,))
    if reverse:
        outputs = ops.flip(outputs, axis=1)
    return zero_padding(outputs, valid)


def _zeros(x: Tensor, units: int) -> Tensor:
    return ops.zeros((ops.shape(x)[0], units), x.dtype)
