"""LSTM, in either direction.

With z = [i, f, g, o] = x + h U, of the projected inputs x and the state h, c,

    c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c')

In padded steps h and c are carried over.
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


def lstm(
    x,
    valid,
    kernel,
    recurrent_kernel,
    bias,
    reverse=False,
    initial_state=None,
    return_state=False,
):
    """`kseq.ops.lstm` with the time loop in one launch.

    Args:
        initial_state: h and c, `(batch, units)`; None: 0.
        return_state: True: also return the last h and c.
    """
    batch = len(x)
    units = len(recurrent_kernel)
    x = torch.where(valid[:, :, None], x, 0)
    if initial_state is None:
        initial_state = x.new_zeros(batch, units), x.new_zeros(batch, units)
    outputs, h, c, *_ = lstm_loop(
        torch.addmm(bias, x.flatten(0, 1), kernel).unflatten(0, x.shape[:2]),
        valid,
        *initial_state,
        recurrent_kernel,
        reverse,
    )
    return (outputs, h, c) if return_state else outputs


@torch.library.custom_op("kseq_gpu::lstm", mutates_args=())
def lstm_loop(
    projected: torch.Tensor,
    valid: torch.Tensor,
    initial_h: torch.Tensor,
    initial_c: torch.Tensor,
    recurrent_kernel: torch.Tensor,
    reverse: bool,
) -> tuple[
    torch.Tensor,
    torch.Tensor,
    torch.Tensor,
    torch.Tensor,
    torch.Tensor,
    torch.Tensor,
]:
    """The loop over time.

    Args:
        projected: `(batch, steps, 4 * units)`: of i, f, g and o.
        valid: bool `(batch, steps)`.
        initial_h, initial_c: `(batch, units)`.
        recurrent_kernel: `(units, 4 * units)`.
        reverse: True: from the last step to the first.

    Returns:
        The outputs `(batch, steps, units)`, the last h and c, and for the
        gradient h and c before each step and the gates `(batch, steps,
        4 * units)`, which are empty if they are computed again.
    """
    outputs, h, c, before_h, before_c, gates = _empty(
        projected, valid, initial_h, initial_c, recurrent_kernel, reverse
    )
    outputs.zero_()
    before_h.zero_()
    batch, steps, units = outputs.shape
    options = parts.launch.options(recurrent_kernel, gates=4)
    _forward[(triton.cdiv(batch, options["BLOCK_ROWS"]),)](
        *contiguous(projected, valid, initial_h, initial_c, recurrent_kernel),
        *(outputs, h, c, before_h, before_c, gates),
        *(batch, steps, units),
        REVERSE=reverse,
        KEEP=gates.numel() > 0,
        **options,
    )
    return outputs, h, c, before_h, before_c, gates


@lstm_loop.register_fake
def _empty(projected, valid, initial_h, initial_c, recurrent_kernel, reverse):
    batch, steps, width = projected.shape
    kept = parts.launch.kept(projected, batch)
    shape = batch, steps, width // 4
    outputs, before_h, before_c = (projected.new_empty(shape) for _ in range(3))
    gates = projected.new_empty(batch, steps if kept else 0, width)
    states = (
        initial_h.new_empty(initial_h.shape),
        initial_c.new_empty(initial_c.shape),
    )
    return outputs, *states, before_h, before_c, gates


@torch.library.custom_op("kseq_gpu::lstm_backward", mutates_args=())
def lstm_loop_backward(
    d_outputs: torch.Tensor,
    d_h: torch.Tensor,
    d_c: torch.Tensor,
    projected: torch.Tensor,
    valid: torch.Tensor,
    recurrent_kernel: torch.Tensor,
    before_h: torch.Tensor,
    before_c: torch.Tensor,
    gates: torch.Tensor,
    reverse: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of the projected inputs and the initial h and c."""
    d_projected, *initial = _empty_gradients(
        *(d_outputs, d_h, d_c, projected, valid, recurrent_kernel),
        *(before_h, before_c, gates, reverse),
    )
    d_projected.zero_()
    batch, steps, units = before_h.shape
    options = parts.launch.options(recurrent_kernel, gates=4)
    _backward[(triton.cdiv(batch, options["BLOCK_ROWS"]),)](
        *contiguous(d_outputs, d_h, d_c, projected, valid, recurrent_kernel),
        *(before_h, before_c, gates, d_projected, *initial),
        *(batch, steps, units),
        REVERSE=reverse,
        KEEP=gates.numel() > 0,
        **options,
    )
    return d_projected, *initial


@lstm_loop_backward.register_fake
def _empty_gradients(d_outputs, d_h, d_c, projected, *_):
    return (
        projected.new_empty(projected.shape),
        d_h.new_empty(d_h.shape),
        d_c.new_empty(d_c.shape),
    )


def _save(ctx, inputs, output):
    projected, valid, _, _, kernel, ctx.reverse = inputs
    ctx.save_for_backward(projected, valid, kernel, *output[3:])


def _differentiate(ctx, d_outputs, d_h, d_c, *_):
    _, _, _, before_h, _, _ = ctx.saved_tensors
    d_projected, d_initial_h, d_initial_c = lstm_loop_backward(
        d_outputs, d_h, d_c, *ctx.saved_tensors, ctx.reverse
    )
    d_kernel = before_h.flatten(0, 1).t() @ d_projected.flatten(0, 1)
    return d_projected, None, d_initial_h, d_initial_c, d_kernel, None


lstm_loop.register_autograd(_differentiate, setup_context=_save)


@triton.jit
def _step(projected, x, now, h, w_i, w_f, w_g, w_o, H, PRECISION: tl.constexpr):
    i = sigmoid(load(projected, x, now) + dot(h, w_i, PRECISION))
    f = sigmoid(load(projected, x + H, now) + dot(h, w_f, PRECISION))
    g = tanh(load(projected, x + 2 * H, now) + dot(h, w_g, PRECISION))
    o = sigmoid(load(projected, x + 3 * H, now) + dot(h, w_o, PRECISION))
    return i, f, g, o


@triton.jit
def _forward(
    projected,
    valid,
    initial_h,
    initial_c,
    recurrent_kernel,
    outputs,
    last_h,
    last_c,
    before_h,
    before_c,
    gates,
    B,
    T,
    H,
    REVERSE: tl.constexpr,
    KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_UNITS: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * BLOCK_ROWS
    rows += tl.arange(0, BLOCK_ROWS)
    units = tl.arange(0, BLOCK_UNITS)
    inside = rows < B
    mask = inside[:, None] & (units < H)[None, :]
    w_i = load_weight(recurrent_kernel, 0, units, H, 4)
    w_f = load_weight(recurrent_kernel, 1, units, H, 4)
    w_g = load_weight(recurrent_kernel, 2, units, H, 4)
    w_o = load_weight(recurrent_kernel, 3, units, H, 4)
    state = rows[:, None] * H + units[None, :]
    h = load(initial_h, state, mask)
    c = load(initial_c, state, mask)
    last = last_step(valid, rows, inside, T, BLOCK_STEPS)
    for n in range(last):
        t = last - 1 - n if REVERSE else n
        on = tl.load(valid + rows * T + t, mask=inside, other=0) != 0
        now = mask & on[:, None]
        step = (rows * T + t)[:, None]
        at = step * H + units[None, :]
        x = step * (4 * H) + units[None, :]
        i, f, g, o = _step(
            projected, x, now, h, w_i, w_f, w_g, w_o, H, PRECISION
        )
        store(before_h, at, h, mask)
        store(before_c, at, c, mask)
        if KEEP:
            store(gates, x, i, mask)
            store(gates, x + H, f, mask)
            store(gates, x + 2 * H, g, mask)
            store(gates, x + 3 * H, o, mask)
        new_c = f * c + i * g
        c = tl.where(now, new_c, c)
        h = tl.where(now, o * tanh(new_c), h)
        store(outputs, at, h, now)
    store(last_h, state, h, mask)
    store(last_c, state, c, mask)


@triton.jit
def _backward(
    d_outputs,
    d_last_h,
    d_last_c,
    projected,
    valid,
    recurrent_kernel,
    before_h,
    before_c,
    gates,
    d_projected,
    d_initial_h,
    d_initial_c,
    B,
    T,
    H,
    REVERSE: tl.constexpr,
    KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_UNITS: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
):
    rows = tl.program_id(0).to(tl.int64) * BLOCK_ROWS
    rows += tl.arange(0, BLOCK_ROWS)
    units = tl.arange(0, BLOCK_UNITS)
    inside = rows < B
    mask = inside[:, None] & (units < H)[None, :]
    w_i = load_weight(recurrent_kernel, 0, units, H, 4)
    w_f = load_weight(recurrent_kernel, 1, units, H, 4)
    w_g = load_weight(recurrent_kernel, 2, units, H, 4)
    w_o = load_weight(recurrent_kernel, 3, units, H, 4)
    state = rows[:, None] * H + units[None, :]
    d_h = load(d_last_h, state, mask)
    d_c = load(d_last_c, state, mask)
    last = last_step(valid, rows, inside, T, BLOCK_STEPS)
    for n in range(last):
        t = n if REVERSE else last - 1 - n
        on = tl.load(valid + rows * T + t, mask=inside, other=0) != 0
        now = mask & on[:, None]
        step = (rows * T + t)[:, None]
        at = step * H + units[None, :]
        x = step * (4 * H) + units[None, :]
        h = load(before_h, at, mask)
        c = load(before_c, at, now)
        if KEEP:
            i = load(gates, x, mask)
            f = load(gates, x + H, mask)
            g = load(gates, x + 2 * H, mask)
            o = load(gates, x + 3 * H, mask)
        else:
            i, f, g, o = _step(
                projected, x, now, h, w_i, w_f, w_g, w_o, H, PRECISION
            )
        d_h += load(d_outputs, at, now)
        # In padded steps both gradients are carried over.
        d_new_h = tl.where(now, d_h, 0.0)
        d_new_c = tl.where(now, d_c, 0.0)
        tanh_c = tanh(f * c + i * g)
        d_new_c += d_new_h * o * (1.0 - tanh_c * tanh_c)
        d_i = d_new_c * g * i * (1.0 - i)
        d_f = d_new_c * c * f * (1.0 - f)
        d_g = d_new_c * i * (1.0 - g * g)
        d_o = d_new_h * tanh_c * o * (1.0 - o)
        store(d_projected, x, d_i, mask)
        store(d_projected, x + H, d_f, mask)
        store(d_projected, x + 2 * H, d_g, mask)
        store(d_projected, x + 3 * H, d_o, mask)
        d_before = dot(d_i, tl.trans(w_i), PRECISION)
        d_before += dot(d_f, tl.trans(w_f), PRECISION)
        d_before += dot(d_g, tl.trans(w_g), PRECISION)
        d_before += dot(d_o, tl.trans(w_o), PRECISION)
        d_h = tl.where(now, d_before, d_h)
        d_c = tl.where(now, d_new_c * f, d_c)
    store(d_initial_h, state, d_h, mask)
    store(d_initial_c, state, d_c, mask)
