"""DIN's attention: the scorer and the weighted sum of a history.

For a candidate q and a step x of its history, with the first kernel split into
W_1 to W_4 (see `kseq.ops.din_hidden`) and the vectors of `_activate`,

    h_1 = q (W_1 + W_3) + b_1 + x (W_2 - W_3 + diag(q) W_4)
    h_2 = f(h_1) V + b_2
    s = f(h_2) . w + b

and the output is the sum over the valid steps of s x, or of softmax(s) x.
A tile is a part of a history; tiles without a valid step are skipped. The first
layer's units are computed in blocks, of which only the sum h_2 is kept.
"""

import torch
import triton
import triton.language as tl

from benchmarks.gpu.kernels import parts
from benchmarks.gpu.kernels.parts import contiguous, dot, load, sigmoid, store

ACTIVATIONS = {"relu": 0, "prelu": 0, "sigmoid": 1, "dice": 2}
EPSILON = 1e-9  # of Dice
BLOCK_UNITS = tl.constexpr(16)


def attention(
    query,
    keys,
    valid,
    weights,
    activation="sigmoid",
    normalize=False,
    training=False,
):
    """`kseq.layers.AttentionSequencePoolingLayer` with two hidden layers.

    Dice in training needs one more launch for each layer, for its statistics.

    Args:
        query: `(batch, candidates, dim)`.
        keys: `(batch, steps, dim)`.
        valid: bool `(batch, steps)`.
        weights: the scorer's kernel and bias, both hidden kernels, both biases,
            and of each activation: alpha (PReLU), or alpha, mean and variance
            (Dice).
        activation: one of `ACTIVATIONS`.

    Returns:
        The output `(batch, candidates, dim)`, and (mean, variance) of each
        layer with which Dice computed.
    """
    outer, bias, first_kernel, kernel, first_bias, second_bias, *rest = weights
    w_query, w_keys, w_difference, w_product = first_kernel.chunk(4)
    zeros = [torch.zeros_like(b) for b in (first_bias, second_bias)]
    alphas, statistics = zeros, []
    if activation == "prelu":
        alphas = rest
    if activation == "dice":
        alphas, statistics = rest[::3], [rest[1:3], rest[4:6]]
    term = query.float() @ (w_query + w_difference).float() + first_bias.float()
    first = [alphas[0], zeros[0], zeros[0]]
    second = [second_bias, outer[:, 0], alphas[1], zeros[1], zeros[1]]

    def run(layer):
        return din(
            *(query, keys, valid, term, w_keys - w_difference, w_product),
            *(torch.stack([x.float() for x in first]), kernel),
            *(torch.stack([x.float() for x in second]), bias.float()),
            *(activation, normalize, layer),
        )

    for i, vectors in enumerate((first, second)[: len(statistics)]):
        if training:
            statistics[i] = run(i + 1)
        mean, variance = statistics[i]
        vectors[-2:] = mean, (variance.float() + EPSILON).rsqrt()
    return run(0)[0], statistics


@torch.library.custom_op("kseq_gpu::din", mutates_args=())
def din(
    query: torch.Tensor,
    keys: torch.Tensor,
    valid: torch.Tensor,
    query_term: torch.Tensor,
    keys_kernel: torch.Tensor,
    product_kernel: torch.Tensor,
    first: torch.Tensor,
    kernel: torch.Tensor,
    second: torch.Tensor,
    bias: torch.Tensor,
    activation: str,
    normalize: bool,
    layer: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, or the statistics of a layer's inputs.

    Args:
        query, keys, valid: see `attention`.
        query_term: float32 `(batch, candidates, units)`, q (W_1 + W_3) + b_1.
        keys_kernel, product_kernel: `(dim, units)`, W_2 - W_3 and W_4.
        first: float32 `(3, units)`: alpha, mean and 1 / deviation.
        kernel: `(units, units of the second layer)`.
        second: float32, the second layer's bias, w, and as `first`.
        bias: float32 `(1,)`.
        layer: 0; 1 or 2: of whose inputs to compute the statistics.

    Returns:
        The output and log(sum(exp(s))), with which the gradient is computed;
        or the mean and the variance over the valid steps.
    """
    tensors = (query, keys, valid, query_term, keys_kernel, product_kernel)
    tensors += (first, kernel, second, bias)
    found = _empty(*tensors, activation, normalize, layer)
    sizes, options = _launch(tensors, activation)
    rows = query.shape[0] * query.shape[1]
    arguments = _group(*contiguous(*_floats(tensors))), *contiguous(valid)
    if layer == 0:
        options["NORMALIZE"] = normalize
        _pool[(rows,)](*arguments, *found, sizes, **options)
        return found
    # Each tile's mean and sum of squared deviations, and their sum.
    counts = _counts(valid, options["BLOCK_STEPS"])
    shape = (len(counts), *query.shape[:2], found[0].shape[0])
    means, squares = keys.new_zeros(2, *shape, dtype=torch.float32)
    _statistics[(rows, len(counts))](
        *arguments, means, squares, sizes, LAYER=layer, **options
    )
    total = (counts.sum() * query.shape[1]).clamp(min=1)
    mean = (counts * means).sum((0, 1, 2)) / total
    squares += counts * (means - mean) ** 2
    return mean, squares.sum((0, 1, 2)) / total


@din.register_fake
def _empty(query, keys, valid, query_term, *arguments):
    *_, second, _, _, _, layer = arguments
    if layer == 0:
        shape = query.shape[:2]
        return query.new_empty(query.shape), query_term.new_empty(shape)
    width = query_term.shape[2] if layer == 1 else second.shape[1]
    return query_term.new_empty(width), query_term.new_empty(width)


def _group(query, keys, term, keys_kernel, product_kernel, *others):
    """The float tensors, or their gradients, as the kernels take them."""
    first, kernel, second, bias = others
    weights = (keys_kernel, product_kernel), first, kernel, second
    return query, keys, term, weights, bias


def _launch(tensors, activation):
    """The sizes and constants of the kernels."""
    query, keys, _, _, _, _, first, _, second, _ = tensors
    batch, candidates, dim = query.shape
    units, second_units = first.shape[1], second.shape[1]
    options = parts.launch.din_options(dim, second_units)
    options["ACTIVATION"] = ACTIVATIONS[activation]
    sizes = batch, candidates, keys.shape[1], dim, units, second_units
    return sizes, options


def _counts(valid, block):
    """The valid steps of each tile, `(tiles, batch, 1, 1)`."""
    counts = torch.stack([x.sum(1) for x in valid.split(block, dim=1)])
    return counts[..., None, None].float()


@torch.library.custom_op("kseq_gpu::din_backward", mutates_args=())
def din_backward(
    upstream: torch.Tensor,
    delta: torch.Tensor,
    log_sum: torch.Tensor,
    tensors: list[torch.Tensor],
    activation: str,
    normalize: bool,
    layer: int,
) -> list[torch.Tensor]:
    """The gradients of `din`'s float tensors.

    Args:
        upstream: layer 0: that of the output; else, `(3, units)`, with which
            the gradient of h is `upstream[0] + upstream[1] (h - upstream[2])`.
        delta: `(batch, candidates)`, the output times its gradient.
        log_sum: see `din`.
        tensors: `din`'s.
    """
    sizes, options = _launch(tensors, activation)
    batch, candidates, steps, dim, units, _ = sizes
    tiles = triton.cdiv(steps, options["BLOCK_STEPS"])
    if tensors[0].is_cuda:
        device = torch.cuda.get_device_properties(tensors[0].device)
        programs = 4 * device.multi_processor_count
    else:
        programs = 3
    programs = min(programs, max(batch * tiles, 1))

    def zeros(*shape):
        return upstream.new_zeros(shape, dtype=torch.float32)

    # Each tile's or program's part of a gradient, and the keys' gradient.
    d_query = zeros(tiles, batch, candidates, dim)
    d_term = zeros(tiles, batch, candidates, units)
    d_keys = upstream.new_zeros(tensors[1].shape, dtype=tensors[1].dtype)
    d_weights = [zeros(programs, *x.shape) for x in tensors[4:]]
    _backward[(programs,)](
        *contiguous(upstream, delta, log_sum),
        _group(*contiguous(*_floats(tensors))),
        *contiguous(tensors[2]),
        _group(d_query, d_keys, d_term, *d_weights),
        sizes,
        programs,
        NORMALIZE=normalize,
        LAYER=layer,
        **options,
    )
    found = [d_query.sum(0), d_keys, d_term.sum(0)]
    found += [x.sum(0) for x in d_weights]
    return [x.to(t.dtype) for x, t in zip(found, _floats(tensors), strict=True)]


@din_backward.register_fake
def _empty_gradients(upstream, delta, log_sum, tensors, *_):
    return [x.new_empty(x.shape) for x in _floats(tensors)]


def _floats(tensors):
    return [*tensors[:2], *tensors[3:]]  # all but the mask


def _save(ctx, inputs, output):
    *tensors, ctx.activation, ctx.normalize, ctx.layer = inputs
    ctx.save_for_backward(*tensors, *output)


def _differentiate(ctx, upstream, d_second):
    *tensors, found, second = ctx.saved_tensors
    options = ctx.activation, ctx.normalize, ctx.layer
    if ctx.layer == 0:
        delta, log_sum = (upstream.float() * found.float()).sum(-1), second
    else:
        total = (tensors[2].sum() * tensors[0].shape[1]).clamp(min=1)
        upstream = torch.stack([upstream / total, 2 * d_second / total, found])
        delta = log_sum = found  # not used
    d_query, d_keys, *others = din_backward(
        upstream, delta, log_sum, tensors, *options
    )
    return d_query, d_keys, None, *others, None, None, None


din.register_autograd(_differentiate, setup_context=_save)


@triton.jit
def _activate(h, vectors, units, H, ACTIVATION: tl.constexpr):
    """f(h), and its derivatives with respect to h, alpha and z.

    z = (h - mean) / deviation is the argument of Dice's sigmoid.
    """
    inside = units < H
    alpha = load(vectors, units, inside)[None, :]
    mean = load(vectors + H, units, inside)[None, :]
    scale = load(vectors + 2 * H, units, inside)[None, :]
    if ACTIVATION == 0:
        f, by_h = tl.where(h > 0, h, alpha * h), tl.where(h > 0, 1.0, alpha)
        by_alpha, by_z = tl.where(h > 0, 0.0, h), 0.0 * h
    elif ACTIVATION == 1:
        f = sigmoid(h)
        by_h, by_alpha, by_z = f * (1.0 - f), 0.0 * h, 0.0 * h
    else:
        p = sigmoid((h - mean) * scale)
        gate = p + alpha * (1.0 - p)
        f, by_alpha = gate * h, (1.0 - p) * h
        by_z = h * (1.0 - alpha) * p * (1.0 - p)
        by_h = gate + by_z * scale
    return f, (by_h, by_alpha, by_z)


@triton.jit
def _fold(q, kernels, dims, units, E, H):
    """W_2 - W_3 + diag(q) W_4, and W_4."""
    at = dims[:, None] * H + units[None, :]
    inside = (dims < E)[:, None] & (units < H)[None, :]
    product = load(kernels[1], at, inside)
    return load(kernels[0], at, inside) + q[:, None] * product, product


@triton.jit
def _first_inputs(x, folded, term, units, H, PRECISION: tl.constexpr):
    """h_1 of a block of units."""
    h = dot(x, folded.to(x.dtype), PRECISION)
    return h + load(term, units, units < H)[None, :]


@triton.jit
def _second_kernel(kernel, units, wide, H1, H2):
    at = units[:, None] * H2 + wide[None, :]
    inside = (units < H1)[:, None] & (wide < H2)[None, :]
    return tl.load(kernel + at, mask=inside, other=0.0), at, inside


@triton.jit
def _second_inputs(
    x,
    q,
    term,
    weights,
    axes,
    sizes,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """h_2."""
    kernels, first, kernel, second = weights
    dims, wide = axes
    _B, _K, _T, E, H1, H2 = sizes
    h = tl.zeros([x.shape[0], wide.shape[0]], tl.float32)
    h += load(second, wide, wide < H2)[None, :]
    for start in range(0, H1, BLOCK_UNITS):
        units = start + tl.arange(0, BLOCK_UNITS)
        folded = _fold(q, kernels, dims, units, E, H1)[0]
        h_1 = _first_inputs(x, folded, term, units, H1, PRECISION)
        f = _activate(h_1, first, units, H1, ACTIVATION)[0]
        v = _second_kernel(kernel, units, wide, H1, H2)[0]
        h += dot(f, v, PRECISION)
    return h


@triton.jit
def _load_tile(keys, valid, b, steps, dims, T, E):
    """A tile's steps, 0 where padded, and its mask."""
    on = tl.load(valid + b * T + steps, mask=steps < T, other=0) != 0
    at = (b * T + steps)[:, None] * E + dims[None, :]
    inside = on[:, None] & (dims < E)[None, :]
    return tl.load(keys + at, mask=inside, other=0.0), on


@triton.jit
def _pool(
    tensors,
    valid,
    output,
    log_sum,
    sizes,
    NORMALIZE: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_SECOND: tl.constexpr,
):
    """The output of a candidate."""
    query, keys, terms, weights, bias = tensors
    _B, K, T, E, H1, H2 = sizes
    row = tl.program_id(0).to(tl.int64)
    axes = tl.arange(0, BLOCK_DIM), tl.arange(0, BLOCK_SECOND)
    dims, wide = axes
    q = load(query + row * E, dims, dims < E)
    term, second = terms + row * H1, weights[3]
    outer = load(second + H2, wide, wide < H2)
    total = tl.zeros([BLOCK_DIM], tl.float32)
    largest, weight = -float("inf"), 0.0
    for start in range(0, T, BLOCK_STEPS):
        steps = start + tl.arange(0, BLOCK_STEPS)
        x, on = _load_tile(keys, valid, row // K, steps, dims, T, E)
        if tl.max(on.to(tl.int32), axis=0) > 0:
            h = _second_inputs(
                x, q, term, weights, axes, sizes, ACTIVATION, PRECISION
            )
            f = _activate(h, second + 2 * H2, wide, H2, ACTIVATION)[0]
            s = tl.sum(f * outer[None, :], axis=1)
            if NORMALIZE:  # a bias would have no effect
                s = tl.where(on, s, -float("inf"))
                new = tl.maximum(largest, tl.max(s, axis=0))
                s = tl.exp(s - new)
                before = tl.exp(largest - new)
                total *= before
                weight = weight * before + tl.sum(s, axis=0)
                largest = new
            else:
                s += load(bias, 0, True)  # padded steps are 0
            total += tl.sum(s[:, None] * x.to(tl.float32), axis=0)
    if NORMALIZE:
        weight = tl.where(weight > 0, weight, 1.0)
        total /= weight
        store(log_sum, row, largest + tl.log(weight), True)
    store(output + row * E, dims, total, dims < E)


@triton.jit
def _statistics(
    tensors,
    valid,
    means,
    squares,
    sizes,
    LAYER: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_SECOND: tl.constexpr,
):
    """Means and sums of squared deviations of a candidate and a tile."""
    query, keys, terms, weights, _bias = tensors
    B, K, T, E, H1, H2 = sizes
    row, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    axes = tl.arange(0, BLOCK_DIM), tl.arange(0, BLOCK_SECOND)
    dims, wide = axes
    q, term = load(query + row * E, dims, dims < E), terms + row * H1
    steps = tile * BLOCK_STEPS + tl.arange(0, BLOCK_STEPS)
    x, on = _load_tile(keys, valid, row // K, steps, dims, T, E)
    place = tile * B * K + row
    if tl.max(on.to(tl.int32), axis=0) > 0:
        if LAYER == 1:
            for start in range(0, H1, BLOCK_UNITS):
                units = start + tl.arange(0, BLOCK_UNITS)
                folded = _fold(q, weights[0], dims, units, E, H1)[0]
                h = _first_inputs(x, folded, term, units, H1, PRECISION)
                _store_statistics(means, squares, place, h, on, units, H1)
        else:
            h = _second_inputs(
                x, q, term, weights, axes, sizes, ACTIVATION, PRECISION
            )
            _store_statistics(means, squares, place, h, on, wide, H2)


@triton.jit
def _store_statistics(means, squares, place, h, on, units, H):
    count = tl.sum(on.to(tl.float32), axis=0)
    mean = tl.sum(tl.where(on[:, None], h, 0.0), axis=0) / count
    centred = tl.where(on[:, None], h - mean[None, :], 0.0)
    store(means + place * H, units, mean, units < H)
    square = tl.sum(centred * centred, axis=0)
    store(squares + place * H, units, square, units < H)


@triton.jit
def _from_statistics(upstream, h, on, units, H):
    """The gradient of h from those of its mean and variance."""
    inside = units < H
    constant = load(upstream, units, inside)[None, :]
    slope = load(upstream + H, units, inside)[None, :]
    mean = load(upstream + 2 * H, units, inside)[None, :]
    return tl.where(on[:, None], constant + slope * (h - mean), 0.0)


@triton.jit
def _add(pointer, at, value, mask):
    before = tl.load(pointer + at, mask=mask, other=0.0)
    tl.store(pointer + at, before + value, mask=mask)


@triton.jit
def _add_vectors(
    d_vectors, vectors, d_f, h, by, units, H, ACTIVATION: tl.constexpr
):
    """Add the gradients of `_activate`'s alpha, mean and 1 / deviation."""
    inside = units < H
    if ACTIVATION != 1:
        _add(d_vectors, units, tl.sum(d_f * by[1], axis=0), inside)
    if ACTIVATION == 2:
        mean = load(vectors + H, units, inside)
        scale = load(vectors + 2 * H, units, inside)
        d_z = d_f * by[2]
        _add(d_vectors + H, units, -scale * tl.sum(d_z, axis=0), inside)
        d_scale = tl.sum(d_z * (h - mean[None, :]), axis=0)
        _add(d_vectors + 2 * H, units, d_scale, inside)


@triton.jit
def _backward(
    upstream,
    delta,
    log_sum,
    tensors,
    valid,
    gradients,
    sizes,
    PROGRAMS,
    NORMALIZE: tl.constexpr,
    LAYER: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_STEPS: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_SECOND: tl.constexpr,
):
    """A program sums the weights' gradients of its tiles in its own memory."""
    query, keys, terms, weights, bias = tensors
    kernels, first, kernel, second = weights
    d_query, d_keys, d_terms, d_weights, d_bias = gradients
    d_kernels, d_first, d_kernel, d_second = d_weights
    B, K, T, E, H1, H2 = sizes
    program = tl.program_id(0).to(tl.int64)
    axes = tl.arange(0, BLOCK_DIM), tl.arange(0, BLOCK_SECOND)
    dims, wide = axes
    d_keys_kernel = d_kernels[0] + program * E * H1
    d_product_kernel = d_kernels[1] + program * E * H1
    d_first += program * 3 * H1
    d_kernel += program * H1 * H2
    d_second += program * 5 * H2
    outer = load(second + H2, wide, wide < H2)
    vectors, d_vectors = second + 2 * H2, d_second + 2 * H2
    for unit in range(program, B * tl.cdiv(T, BLOCK_STEPS), PROGRAMS):
        b, tile = unit % B, unit // B
        steps = tile * BLOCK_STEPS + tl.arange(0, BLOCK_STEPS)
        x, on = _load_tile(keys, valid, b, steps, dims, T, E)
        if tl.max(on.to(tl.int32), axis=0) > 0:
            d_x = tl.zeros([BLOCK_STEPS, BLOCK_DIM], tl.float32)
            for k in range(K):
                row = b * K + k
                place = tile * B * K + row
                q = load(query + row * E, dims, dims < E)
                term = terms + row * H1
                d_q = tl.zeros([BLOCK_DIM], tl.float32)
                if LAYER != 1:
                    h = _second_inputs(
                        x, q, term, weights, axes, sizes, ACTIVATION, PRECISION
                    )
                if LAYER == 2:
                    d_h = _from_statistics(upstream, h, on, wide, H2)
                if LAYER == 0:
                    f, by = _activate(h, vectors, wide, H2, ACTIVATION)
                    s = tl.sum(f * outer[None, :], axis=1)
                    d_output = load(upstream + row * E, dims, dims < E)
                    d_s = tl.sum(x.to(tl.float32) * d_output[None, :], axis=1)
                    if NORMALIZE:
                        s = tl.exp(s - load(log_sum, row, True))
                        d_s = s * (d_s - load(delta, row, True))
                    else:
                        s += load(bias, 0, True)
                        # Padded steps are 0, and so are their d_s.
                        _add(d_bias, program, tl.sum(d_s, axis=0), True)
                    s, d_s = tl.where(on, s, 0.0), tl.where(on, d_s, 0.0)
                    d_x += s[:, None] * d_output[None, :]
                    d_outer = tl.sum(d_s[:, None] * f, axis=0)
                    _add(d_second + H2, wide, d_outer, wide < H2)
                    d_f = d_s[:, None] * outer[None, :]
                    d_h = d_f * by[0]
                    _add_vectors(
                        d_vectors, vectors, d_f, h, by, wide, H2, ACTIVATION
                    )
                if LAYER != 1:
                    _add(d_second, wide, tl.sum(d_h, axis=0), wide < H2)
                for start in range(0, H1, BLOCK_UNITS):
                    units = start + tl.arange(0, BLOCK_UNITS)
                    folded, product = _fold(q, kernels, dims, units, E, H1)
                    h_1 = _first_inputs(x, folded, term, units, H1, PRECISION)
                    if LAYER == 1:
                        d_h_1 = _from_statistics(upstream, h_1, on, units, H1)
                    else:
                        f_1, by_1 = _activate(h_1, first, units, H1, ACTIVATION)
                        v, at_v, in_v = _second_kernel(
                            kernel, units, wide, H1, H2
                        )
                        d_v = dot(tl.trans(f_1), d_h.to(x.dtype), PRECISION)
                        _add(d_kernel, at_v, d_v, in_v)
                        d_f_1 = dot(d_h, tl.trans(v), PRECISION)
                        d_h_1 = d_f_1 * by_1[0]
                        _add_vectors(
                            d_first,
                            first,
                            d_f_1,
                            h_1,
                            by_1,
                            units,
                            H1,
                            ACTIVATION,
                        )
                    d_term = tl.sum(d_h_1, axis=0)
                    store(d_terms + place * H1, units, d_term, units < H1)
                    d_x += dot(d_h_1, tl.trans(folded).to(x.dtype), PRECISION)
                    d_folded = dot(tl.trans(x), d_h_1.to(x.dtype), PRECISION)
                    at = dims[:, None] * H1 + units[None, :]
                    inside = (dims < E)[:, None] & (units < H1)[None, :]
                    _add(d_keys_kernel, at, d_folded, inside)
                    _add(d_product_kernel, at, q[:, None] * d_folded, inside)
                    d_q += tl.sum(product * d_folded, axis=1)
                store(d_query + place * E, dims, d_q, dims < E)
                # The next candidate's sums read what other threads wrote.
                tl.debug_barrier()
            at_x = (b * T + steps)[:, None] * E + dims[None, :]
            store(d_keys, at_x, d_x, on[:, None] & (dims < E)[None, :])
