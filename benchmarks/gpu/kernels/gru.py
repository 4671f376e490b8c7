"""The GRU family: GRU, AIGRU, AGRU and both forms of AUGRU.

A row is a sequence, or one candidate of a sequence. With the projected inputs x
and the state h before a step,

    r = sigmoid(x_r + h W_r), u = sigmoid(x_u + h W_u)
    c = tanh(x_c + (r h) W_c)
    h' = h + w (c - h)

with the weight w of `_weight`, which is 0 in padded steps.
"""

import torch
import triton
import triton.language as tl

from benchmarks.gpu.kernels import parts
from benchmarks.gpu.kernels.parts import (
    contiguous,
    dot,
    last_step,
    load,
    load_weight,
    sigmoid,
    store,
    tanh,
)

FORMS = {"GRU": 0, "AGRU": 1, "AUGRU deepctr": 2, "AUGRU paper": 3}


def gru(
    x,
    valid,
    gates_kernel,
    gates_bias,
    candidate_kernel,
    candidate_bias,
    scores=None,
    gru_type="GRU",
    augru_form="deepctr",
    initial_state=None,
):
    """`kseq.ops.gru` with the time loop in one launch."""
    (units,) = candidate_bias.shape
    dim = len(candidate_kernel) - units
    batch, steps, _ = x.shape
    x = torch.where(valid[:, :, None], x, 0)
    candidates = None
    if gru_type == "GRU":
        scores = None
    if scores is not None:
        if scores.ndim == 3:
            candidates = scores.shape[2]
            scores = scores.transpose(1, 2)
        scores = scores.reshape(batch, -1, steps)
        if gru_type == "AIGRU":
            scores = torch.where(valid[:, None], scores, 0)
            x = (x[:, None] * scores[..., None]).flatten(0, 1)
            valid = valid.repeat_interleave(len(x) // batch, 0)
            scores = None
        else:
            scores = scores.flatten(0, 1)
    rows = batch * (candidates or 1)
    if initial_state is None:
        initial_state = x.new_zeros(rows, units)
    else:
        initial_state = initial_state.repeat_interleave(candidates or 1, 0)
    kernel = torch.cat([gates_kernel[:dim], candidate_kernel[:dim]], dim=1)
    bias = torch.cat([gates_bias, candidate_bias])
    attention = "GRU" if gru_type == "AIGRU" else gru_type
    outputs, state, *_ = gru_loop(
        torch.addmm(bias, x.flatten(0, 1), kernel).unflatten(0, x.shape[:2]),
        valid,
        scores,
        initial_state,
        gates_kernel[dim:],
        candidate_kernel[dim:],
        f"AUGRU {augru_form}" if attention == "AUGRU" else attention,
    )
    if candidates is None:
        return outputs, state
    outputs = outputs.unflatten(0, (batch, candidates))
    return outputs.transpose(1, 2), state.unflatten(0, (batch, candidates))


@torch.library.custom_op("kseq_gpu::gru", mutates_args=())
def gru_loop(
    projected: torch.Tensor,
    valid: torch.Tensor,
    scores: torch.Tensor | None,
    initial: torch.Tensor,
    gates_kernel: torch.Tensor,
    candidate_kernel: torch.Tensor,
    form: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loop over time, for `rows` that are a multiple of `batch`.

    Args:
        projected: `(batch, steps, 3 * units)`: of r, u and c.
        valid: bool `(batch, steps)`.
        scores: `(rows, steps)`, or None for GRU.
        initial: `(rows, units)`.
        gates_kernel: `(units, 2 * units)`.
        candidate_kernel: `(units, units)`.
        form: one of `FORMS`.

    Returns:
        The outputs `(rows, steps, units)`, the last state, and for the
        gradient the states before each step and the gates `(rows, steps,
        3 * units)`, which are empty if they are computed again.
    """
    outputs, state, before, gates = _empty(
        projected, valid, scores, initial, gates_kernel, candidate_kernel, form
    )
    outputs.zero_()
    before.zero_()
    rows, units = initial.shape
    options = parts.launch.options(candidate_kernel, gates=3)
    _forward[(triton.cdiv(rows, options["BLOCK_ROWS"]),)](
        *contiguous(projected, valid, scores, initial),
        *contiguous(gates_kernel, candidate_kernel),
        *(outputs, state, before, gates),
        rows,
        rows // max(len(projected), 1),
        projected.shape[1],
        units,
        FORM=FORMS[form],
        KEEP=gates.numel() > 0,
        **options,
    )
    return outputs, state, before, gates


@gru_loop.register_fake
def _empty(
    projected, valid, scores, initial, gates_kernel, candidate_kernel, form
):
    _, steps, width = projected.shape
    rows, units = initial.shape
    kept = parts.launch.kept(projected, rows)
    outputs = projected.new_empty(rows, steps, units)
    gates = projected.new_empty(rows, steps if kept else 0, width)
    return (
        outputs,
        initial.new_empty(initial.shape),
        outputs.new_empty(outputs.shape),
        gates,
    )


@torch.library.custom_op("kseq_gpu::gru_backward", mutates_args=())
def gru_loop_backward(
    d_outputs: torch.Tensor,
    d_state: torch.Tensor,
    projected: torch.Tensor,
    valid: torch.Tensor,
    scores: torch.Tensor | None,
    gates_kernel: torch.Tensor,
    candidate_kernel: torch.Tensor,
    before: torch.Tensor,
    gates: torch.Tensor,
    form: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of each row's projected inputs, scores and initial state.

    Also r h in each step, for the gradient of the candidate's kernel.
    """
    found = _empty_gradients(
        *(d_outputs, d_state, projected, valid, scores),
        *(gates_kernel, candidate_kernel, before, gates, form),
    )
    for x in found:
        x.zero_()
    d_projected, d_scores, d_initial, reset = found
    rows, steps, units = before.shape
    options = parts.launch.options(candidate_kernel, gates=3)
    _backward[(triton.cdiv(rows, options["BLOCK_ROWS"]),)](
        *contiguous(d_outputs, d_state, projected, valid, scores),
        *contiguous(gates_kernel, candidate_kernel),
        *(before, gates, d_projected, d_scores, d_initial, reset),
        rows,
        rows // max(len(projected), 1),
        steps,
        units,
        FORM=FORMS[form],
        KEEP=gates.numel() > 0,
        **options,
    )
    return d_projected, d_scores, d_initial, reset


@gru_loop_backward.register_fake
def _empty_gradients(
    d_outputs,
    d_state,
    projected,
    valid,
    scores,
    gates_kernel,
    candidate_kernel,
    before,
    gates,
    form,
):
    rows, steps, _ = before.shape
    return (
        projected.new_empty(rows, steps, projected.shape[2]),
        before.new_empty(rows, 0 if scores is None else steps),
        d_state.new_empty(d_state.shape),
        before.new_empty(before.shape),
    )


def _save(ctx, inputs, output):
    *tensors, ctx.form = inputs
    _, _, before, gates = output
    ctx.save_for_backward(*tensors, before, gates)


def _differentiate(ctx, d_outputs, d_state, *_):
    projected, valid, scores, _, *kernels, before, gates = ctx.saved_tensors
    d_projected, d_scores, d_initial, reset = gru_loop_backward(
        *(d_outputs, d_state, projected, valid, scores),
        *(*kernels, before, gates, ctx.form),
    )
    units = before.shape[2]
    by_row = d_projected.flatten(0, 1)
    d_gates_kernel = before.flatten(0, 1).t() @ by_row[:, : 2 * units]
    d_candidate_kernel = reset.flatten(0, 1).t() @ by_row[:, 2 * units :]
    if len(before) != len(projected):  # candidates
        d_projected = d_projected.unflatten(0, (len(projected), -1)).sum(1)
    if scores is None:
        d_scores = None
    kernels = d_gates_kernel, d_candidate_kernel
    return d_projected, None, d_scores, d_initial, *kernels, None


gru_loop.register_autograd(_differentiate, setup_context=_save)


@triton.jit
def _weight(u, keep, score, FORM: tl.constexpr):
    """w, and its derivatives with respect to u and the score."""
    if FORM == 0:
        w, by_u, by_score = keep * (1.0 - u), -keep + 0.0 * u, 0.0 * u
    elif FORM == 1:
        w, by_u, by_score = score + 0.0 * u, 0.0 * u, keep + 0.0 * u
    elif FORM == 2:
        w = keep * (1.0 - (1.0 - score) * u)
        by_u, by_score = keep * (score - 1.0) + 0.0 * u, keep * u
    else:
        w, by_u, by_score = score * u, score + 0.0 * u, keep * u
    return w, by_u, by_score


@triton.jit
def _step(x_r, x_u, x_c, h, w_r, w_u, w_c, PRECISION: tl.constexpr):
    r = sigmoid(x_r + dot(h, w_r, PRECISION))
    u = sigmoid(x_u + dot(h, w_u, PRECISION))
    c = tanh(x_c + dot(r * h, w_c, PRECISION))
    return r, u, c


@triton.jit
def _forward(
    projected,
    valid,
    scores,
    initial,
    gates_kernel,
    candidate_kernel,
    outputs,
    state,
    before,
    gates,
    R,
    K,
    T,
    H,
    FORM: tl.constexpr,
    KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_UNITS: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * BLOCK_ROWS
    rows += tl.arange(0, BLOCK_ROWS)
    units = tl.arange(0, BLOCK_UNITS)
    inside = rows < R
    examples = rows // K
    mask = inside[:, None] & (units < H)[None, :]
    w_r = load_weight(gates_kernel, 0, units, H, 2)
    w_u = load_weight(gates_kernel, 1, units, H, 2)
    w_c = load_weight(candidate_kernel, 0, units, H, 1)
    h = load(initial, rows[:, None] * H + units[None, :], mask)
    score = tl.zeros([BLOCK_ROWS, 1], tl.float32)
    for t in range(last_step(valid, examples, inside, T, BLOCK_STEPS)):
        on = tl.load(valid + examples * T + t, mask=inside, other=0) != 0
        keep = on.to(tl.float32)[:, None]
        if FORM != 0:
            score = load(scores, rows * T + t, on)[:, None]
        x = (examples * T + t)[:, None] * (3 * H) + units[None, :]
        now = mask & on[:, None]
        x_r = load(projected, x, now)
        x_u = load(projected, x + H, now)
        x_c = load(projected, x + 2 * H, now)
        r, u, c = _step(x_r, x_u, x_c, h, w_r, w_u, w_c, PRECISION)
        w, _, _ = _weight(u, keep, score, FORM)
        at = (rows * T + t)[:, None]
        store(before, at * H + units[None, :], h, mask)
        if KEEP:
            gate = at * (3 * H) + units[None, :]
            store(gates, gate, r, mask)
            store(gates, gate + H, u, mask)
            store(gates, gate + 2 * H, c, mask)
        h += w * (c - h)
        store(outputs, at * H + units[None, :], h, now)
    store(state, rows[:, None] * H + units[None, :], h, mask)


@triton.jit
def _backward(
    d_outputs,
    d_state,
    projected,
    valid,
    scores,
    gates_kernel,
    candidate_kernel,
    before,
    gates,
    d_projected,
    d_scores,
    d_initial,
    reset,
    R,
    K,
    T,
    H,
    FORM: tl.constexpr,
    KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_UNITS: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * BLOCK_ROWS
    rows += tl.arange(0, BLOCK_ROWS)
    units = tl.arange(0, BLOCK_UNITS)
    inside = rows < R
    examples = rows // K
    mask = inside[:, None] & (units < H)[None, :]
    w_r = load_weight(gates_kernel, 0, units, H, 2)
    w_u = load_weight(gates_kernel, 1, units, H, 2)
    w_c = load_weight(candidate_kernel, 0, units, H, 1)
    d_h = load(d_state, rows[:, None] * H + units[None, :], mask)
    score = tl.zeros([BLOCK_ROWS, 1], tl.float32)
    last = last_step(valid, examples, inside, T, BLOCK_STEPS)
    for i in range(last):
        t = last - 1 - i
        on = tl.load(valid + examples * T + t, mask=inside, other=0) != 0
        keep = on.to(tl.float32)[:, None]
        if FORM != 0:
            score = load(scores, rows * T + t, on)[:, None]
        now = mask & on[:, None]
        at = (rows * T + t)[:, None]
        gate = at * (3 * H) + units[None, :]
        h = load(before, at * H + units[None, :], mask)
        if KEEP:
            r = load(gates, gate, mask)
            u = load(gates, gate + H, mask)
            c = load(gates, gate + 2 * H, mask)
        else:
            x = (examples * T + t)[:, None] * (3 * H) + units[None, :]
            x_r = load(projected, x, now)
            x_u = load(projected, x + H, now)
            x_c = load(projected, x + 2 * H, now)
            r, u, c = _step(x_r, x_u, x_c, h, w_r, w_u, w_c, PRECISION)
        w, by_u, by_score = _weight(u, keep, score, FORM)
        # In padded steps w is 0 and the upstream gradient has no effect.
        d_h += load(d_outputs, at * H + units[None, :], now)
        d_w = d_h * (c - h)
        d_c = d_h * w * (1.0 - c * c)
        d_rh = dot(d_c, tl.trans(w_c), PRECISION)
        d_r = d_rh * h * r * (1.0 - r)
        d_u = d_w * by_u * u * (1.0 - u)
        store(d_projected, gate, d_r, mask)
        store(d_projected, gate + H, d_u, mask)
        store(d_projected, gate + 2 * H, d_c, mask)
        store(reset, at * H + units[None, :], r * h, mask)
        if FORM != 0:
            by_row = tl.sum(tl.where(mask, d_w * by_score, 0.0), axis=1)
            store(d_scores, rows * T + t, by_row, inside)
        d_h = d_h * (1.0 - w) + d_rh * r
        d_h += dot(d_r, tl.trans(w_r), PRECISION)
        d_h += dot(d_u, tl.trans(w_u), PRECISION)
    store(d_initial, rows[:, None] * H + units[None, :], d_h, mask)
