"""JAX by hand: what XLA's CPU compiler can do at most, as far as we know.

Padding is not computed where that can be had: examples are put in order of
length, and groups of them go on only as far as their longest does. No product
of the inputs is taken out of a time loop: read again at each step, it costs
more than it saves.

- din: groups of about 4000 steps, cut to one of four static numbers of steps
  and computed again for the gradient, which is by hand; 7 seconds to compile.
  Whole batches take 1.2 to 1.3 times as long, and where one candidate has an
  axis of its own in the middle 1.9 times; a group's own jax.vjp 1.2 times.
- augru: loops of 32 examples, each as long as its longest, with a gradient by
  hand. Groups of 64 take 1.1 times as long, a plain scan 1.2, a scan over
  products of the inputs 1.7.
- bilstm: scans with a gradient by hand, whose sums over steps are one product
  at the end. A plain scan takes 1.2 times as long, one over products of the
  inputs 1.8, groups of examples 1.1.
- transformer: one head of one example at a time, 50 queries at a time as far as
  the sequence goes, with the softmax's normaliser kept for the gradient. 250
  queries at a time take 1.1 times as long, without the cut 1.8, all scores at
  once 3.
- pooling, weighted: sums of products, and gradients of one pass; a select of
  the inputs takes twice as long.
"""

import functools

import jax
import jax.numpy as jnp

FRAMEWORK = "jax"

# Of DIN, for the cache; there are as many ends as keep compiling short.
ROWS, ENDS = 4000, 4
EXAMPLES = 32
QUERIES = 50


def din(work, weights):
    batch, steps, candidates = work.batch, work.steps, work.candidates
    size = _divisor(batch, ROWS // (steps * candidates))
    ends = sorted({-(-steps * (i + 1) // ENDS) for i in range(ENDS)})
    fold = steps >= work.dim

    def by_end(does, lengths, *tensors):
        at = jnp.searchsorted(jnp.array(ends), lengths.max())
        branches = [functools.partial(does, end) for end in ends]
        return jax.lax.switch(at, branches, lengths, *tensors)

    def attend(end, lengths, query, keys, weights):
        return _attend(query, keys[:, :end], lengths, weights, fold)[0]

    def gradient(end, lengths, query, keys, weights, upstream):
        keys = keys[:, :end]
        _, kept = _attend(query, keys, lengths, weights, fold)
        dq, dk, found = _attend_backward(
            query, keys, lengths, weights, fold, kept, upstream
        )
        return dq, jnp.pad(dk, ((0, 0), (0, steps - end), (0, 0))), found

    @jax.custom_vjp
    def pool(lengths, query, keys, weights):
        return jax.lax.map(
            lambda group: by_end(attend, *group, weights),
            (lengths, query, keys),
        )

    def forward(*inputs):
        return pool(*inputs), inputs

    def backward(inputs, upstream):
        *sequences, weights = inputs

        def group(total, group):
            *group, up = group
            found = by_end(gradient, *group, weights, up)
            return jax.tree.map(jnp.add, total, found[2]), found[:2]

        zeros = jax.tree.map(jnp.zeros_like, weights)
        of_weights, found = jax.lax.scan(group, zeros, (*sequences, upstream))
        return None, *found, of_weights

    pool.defvjp(forward, backward)

    def call(inputs, variables, training):
        query, keys, lengths = inputs
        put, put_back = _by_length(lengths)
        groups = (
            x.reshape(-1, size, *x.shape[1:])
            for x in (put(lengths), put(query), put(keys))
        )
        pooled = pool(*groups, tuple(variables))
        return put_back(pooled.reshape(query.shape))

    return call, _arrays(weights)


def _attend(query, keys, lengths, weights, fold):
    scorer, bias, kernel, kernel2, bias1, bias2 = weights
    batch, steps, dim = keys.shape
    candidates = query.shape[1]
    of_query, of_keys, of_both = _cut(kernel)
    added = (query.reshape(-1, dim) @ of_query + bias1).reshape(batch, 1, -1)
    if fold:
        # An axis of size 1 more, and the gradient takes twice as long.
        if candidates == 1:
            used = of_keys + query[:, 0, :, None] * of_both
        else:
            q = query.transpose(0, 2, 1)[..., None]
            used = of_keys[:, None] + q * of_both[:, None]
            used = used.reshape(batch, dim, -1)
        hidden = keys @ used
    else:
        used = (keys[:, :, None] * query[:, None]).reshape(-1, dim)
        both = (used @ of_both).reshape(batch, steps, candidates, -1)
        hidden = (keys.reshape(-1, dim) @ of_keys).reshape(batch, steps, 1, -1)
        hidden = (hidden + both).reshape(batch, steps, -1)
    hidden = jax.nn.sigmoid(hidden + added).reshape(-1, len(bias1))
    hidden2 = jax.nn.sigmoid(hidden @ kernel2 + bias2)
    scores = (hidden2 @ scorer + bias).reshape(batch, steps, candidates)
    scores = jnp.where(_valid(keys, lengths)[..., None], scores, 0)
    output = scores.transpose(0, 2, 1) @ keys
    return output, (used, hidden, hidden2, scores)


def _attend_backward(query, keys, lengths, weights, fold, kept, upstream):
    scorer, _, kernel, kernel2, bias1, _ = weights
    used, hidden, hidden2, scores = kept
    batch, steps, dim = keys.shape
    candidates, units = query.shape[1], len(bias1)
    of_query, of_keys, of_both = _cut(kernel)
    ds = keys @ upstream.transpose(0, 2, 1)
    ds = jnp.where(_valid(keys, lengths)[..., None], ds, 0).reshape(-1, 1)
    d2 = ds * scorer[:, 0] * hidden2 * (1 - hidden2)
    d1 = (d2 @ kernel2.T) * hidden * (1 - hidden)
    by_step = d1.reshape(batch, steps, -1)
    d_added = by_step.sum(1).reshape(-1, units)
    dk = scores @ upstream
    if fold:
        dk = dk + jnp.einsum("btu,bdu->btd", by_step, used)
        d_used = jnp.einsum("btd,btu->bdu", keys, by_step)
        if candidates == 1:
            d_of_keys = d_used.sum(0)
            d_of_both = (d_used * query[:, 0, :, None]).sum(0)
            dq = (d_used * of_both).sum(-1)[:, None]
        else:
            q = query.transpose(0, 2, 1)[..., None]
            d_used = d_used.reshape(batch, dim, candidates, units)
            d_of_keys = d_used.sum((0, 2))
            d_of_both = (d_used * q).sum((0, 2))
            dq = (d_used * of_both[:, None]).sum(-1).transpose(0, 2, 1)
    else:
        d_of_both = used.T @ d1
        d_used = (d1 @ of_both.T).reshape(batch, steps, candidates, dim)
        dq = (d_used * keys[:, :, None]).sum(1)
        from_keys = d1.reshape(-1, candidates, units).sum(1)
        d_of_keys = _product(keys, from_keys)
        dk = dk + (d_used * query[:, None]).sum(2)
        dk = dk + (from_keys @ of_keys.T).reshape(keys.shape)
    dq = dq + (d_added @ of_query.T).reshape(query.shape)
    d_of_query = _product(query, d_added)
    d_kernel = [d_of_query, d_of_keys, d_of_query - d_of_keys, d_of_both]
    return (
        dq,
        dk,
        (
            hidden2.T @ ds,
            ds.sum(0),
            jnp.concatenate(d_kernel),
            hidden.T @ d2,
            d_added.sum(0),
            d2.sum(0),
        ),
    )


def _cut(kernel):
    """DIN's first kernel, for the query, the keys and their product."""
    of_query, of_keys, apart, of_both = jnp.split(kernel, 4)
    return of_query + apart, of_keys - apart, of_both


def augru(work, weights):
    steps, units = work.steps, work.units
    size = _divisor(work.batch, EXAMPLES)

    def room(width):
        return jnp.zeros((steps, size, width))

    def forward_group(x, scores, lengths, weights):
        kernel, bias, kernel_c, bias_c = weights
        dim = x.shape[-1]
        # In groups this small it pays: the products stay in the cache.
        from_x, from_x_c = x @ kernel[:dim] + bias, x @ kernel_c[:dim] + bias_c

        def step(t, carried):
            h, *kept = carried
            gates = jax.nn.sigmoid(from_x[t] + h @ kernel[dim:])
            r, u = gates[:, :units], gates[:, units:]
            c = jnp.tanh(from_x_c[t] + (r * h) @ kernel_c[dim:])
            stay = jnp.where(t < lengths, (1 - scores[t]) * u, 1)
            kept = [
                y.at[t].set(new)
                for y, new in zip(kept, (h, gates, c), strict=True)
            ]
            return c + stay * (h - c), *kept

        start = jnp.zeros((size, units))
        return jax.lax.fori_loop(
            0,
            lengths.max(),
            step,
            (start, room(units), room(2 * units), room(units)),
        )

    def backward_group(x, scores, lengths, weights, kept, upstream):
        kernel, _, kernel_c, _ = weights
        dim = x.shape[-1]
        old, gates, c = kept
        r, u = gates[..., :units], gates[..., units:]
        valid = jnp.arange(steps)[:, None, None] < lengths
        stay = jnp.where(valid, (1 - scores) * u, 1)
        of_score = jnp.where(valid, (old - c) * u, 0)
        to_u = of_score * (1 - scores) * (1 - u)
        to_r = old * r * (1 - r)
        to_c = (1 - stay) * (1 - c * c)
        last = lengths.max() - 1

        def step(i, carried):
            t = last - i
            dh, *found = carried
            dc = dh * to_c[t]
            d_reset = dc @ kernel_c[dim:].T
            d_gates = jnp.concatenate([d_reset * to_r[t], dh * to_u[t]], -1)
            found = [
                y.at[t].set(new)
                for y, new in zip(found, (dh, d_gates, dc), strict=True)
            ]
            dh = dh * stay[t] + d_reset * r[t] + d_gates @ kernel[dim:].T
            return dh, *found

        _, dh, d_gates, dc = jax.lax.fori_loop(
            0,
            last + 1,
            step,
            (upstream, room(units), room(2 * units), room(units)),
        )
        of_weights = (
            jnp.concatenate([_product(x, d_gates), _product(old, d_gates)]),
            d_gates.sum((0, 1)),
            jnp.concatenate([_product(x, dc), _product(r * old, dc)]),
            dc.sum((0, 1)),
        )
        dx = d_gates @ kernel[:dim].T + dc @ kernel_c[:dim].T
        return of_weights, (dx, -(dh * of_score).sum(-1, keepdims=True))

    def forward(x, scores, lengths, weights):
        state, *kept = jax.lax.map(
            lambda group: forward_group(*group, weights), (x, scores, lengths)
        )
        return state, (x, scores, lengths, weights, kept)

    def backward(saved, upstream):
        x, scores, lengths, weights, kept = saved

        def group(total, group):
            x, scores, lengths, kept, upstream = group
            of_weights, found = backward_group(
                x, scores, lengths, weights, kept, upstream
            )
            return jax.tree.map(jnp.add, total, of_weights), found

        zeros = jax.tree.map(jnp.zeros_like, weights)
        of_weights, found = jax.lax.scan(
            group, zeros, (x, scores, lengths, kept, upstream)
        )
        return *found, None, of_weights

    run = jax.custom_vjp(lambda *inputs: forward(*inputs)[0])
    run.defvjp(forward, backward)

    def call(inputs, variables, training):
        x, lengths, scores = inputs
        put, put_back = _by_length(lengths)

        def grouped(x):
            return put(x).reshape(-1, size, *x.shape[1:])

        state = run(
            grouped(x).swapaxes(1, 2),
            grouped(scores).swapaxes(1, 2),
            grouped(lengths),
            tuple(variables),
        )
        return put_back(state.reshape(-1, 1, units))

    return call, _arrays(weights)


def bilstm(work, weights):
    def call(inputs, variables, training):
        x = inputs[0].swapaxes(0, 1)  # all steps count
        ways = (
            _lstm(x, tuple(variables[:3]), False),
            _lstm(x, tuple(variables[3:]), True),
        )
        return jnp.concatenate(ways, -1).swapaxes(0, 1)

    return call, _arrays(weights)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _lstm(x, weights, reverse):
    return _lstm_forward(x, weights, reverse)[0]


def _lstm_forward(x, weights, reverse):
    kernel, recurrent, bias = weights

    def step(states, x):
        h, c = states
        i, f, g, o = jnp.split(x @ kernel + h @ recurrent + bias, 4, -1)
        i, f, o = map(jax.nn.sigmoid, (i, f, o))
        g = jnp.tanh(g)
        new_c = f * c + i * g
        shown = jnp.tanh(new_c)
        new_h = o * shown
        return (new_h, new_c), (new_h, (h, c, i, f, g, o, shown))

    start = jnp.zeros((x.shape[1], len(recurrent)))
    _, (outputs, kept) = jax.lax.scan(step, (start, start), x, reverse=reverse)
    return outputs, (x, weights, kept)


def _lstm_backward(reverse, saved, upstream):
    x, (kernel, recurrent, _), kept = saved

    def step(gradients, inputs):
        dh, dc = gradients
        upstream, (_, c, i, f, g, o, shown) = inputs
        dh = dh + upstream
        dc = dc + dh * o * (1 - shown * shown)
        dz = jnp.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c * f * (1 - f),
                dc * i * (1 - g * g),
                dh * shown * o * (1 - o),
            ],
            -1,
        )
        return (dz @ recurrent.T, dc * f), dz

    start = jnp.zeros((x.shape[1], len(recurrent)))
    _, dz = jax.lax.scan(
        step, (start, start), (upstream, kept), reverse=not reverse
    )
    dx = (dz.reshape(-1, dz.shape[-1]) @ kernel.T).reshape(x.shape)
    return dx, (_product(x, dz), _product(kept[0], dz), dz.sum((0, 1)))


_lstm.defvjp(_lstm_forward, _lstm_backward)


def transformer(work, weights):
    steps, heads, units = work.steps, work["heads"], work.units
    size = _divisor(steps, QUERIES)
    at_key = jnp.arange(steps)
    at_query = at_key.reshape(-1, size)

    def groups(length):
        return (length + size - 1) // size

    def scores(q, at, k, length):
        allowed = at_key < length
        if work["blinding"]:
            allowed = allowed & (at[:, None] != at_key)
        return jnp.where(allowed, q @ k.T, -jnp.inf)

    def forward_head(q, k, v, length):
        def group(i, written):
            shown = scores(q[i], at_query[i], k, length)
            top = shown.max(-1, keepdims=True)
            shown = jnp.exp(shown - top)
            total = shown.sum(-1, keepdims=True)
            output, logs = written
            return (
                output.at[i].set(shown @ v / total),
                logs.at[i].set(top + jnp.log(total)),
            )

        start = jnp.zeros(q.shape), jnp.zeros((*q.shape[:2], 1))
        return jax.lax.fori_loop(0, groups(length), group, start)

    def backward_head(q, k, v, length, output, logs, upstream):
        def group(i, found):
            dq, dk, dv = found
            up = upstream[i]
            shown = jnp.exp(scores(q[i], at_query[i], k, length) - logs[i])
            mean = (up * output[i]).sum(-1, keepdims=True)
            d_scores = shown * (up @ v.T - mean)
            return (
                dq.at[i].set(d_scores @ k),
                dk + d_scores.T @ q[i],
                dv + shown.T @ up,
            )

        start = jax.tree.map(jnp.zeros_like, (q, k, v))
        return jax.lax.fori_loop(0, groups(length), group, start)

    def forward(*inputs):
        kept = jax.lax.map(lambda head: forward_head(*head), inputs)
        return kept[0], (*inputs, *kept)

    def backward(saved, upstream):
        found = jax.lax.map(
            lambda head: backward_head(*head), (*saved, upstream)
        )
        return *found, None

    attend = jax.custom_vjp(lambda *inputs: forward(*inputs)[0])
    attend.defvjp(forward, backward)

    def call(inputs, variables, training):
        x, lengths = inputs

        def split(kernel):
            y = x.reshape(-1, x.shape[-1]) @ kernel
            y = y.reshape(-1, steps, heads, units).transpose(0, 2, 1, 3)
            return y.reshape(-1, steps, units)

        q, k, v = map(split, variables)
        q = (q * units**-0.5).reshape(len(q), -1, size, units)
        output = attend(q, k, v, jnp.repeat(lengths[:, 0], heads))
        output = output.reshape(-1, heads, steps, units).transpose(0, 2, 1, 3)
        valid = _valid(x, lengths)[..., None]
        return jnp.where(valid, output.reshape(x.shape), 0)

    return call, _arrays(weights)


def pooling(work, weights):
    mode = work["mode"]

    def call(inputs, variables, training):
        x, lengths = inputs
        if mode == "max":
            return _max(x, lengths)
        total = _sum(x, lengths)
        return total / lengths[..., None] if mode == "mean" else total

    return call, []


@jax.custom_vjp
def _sum(x, lengths):
    return _valid(x, lengths).astype(x.dtype)[:, None] @ x


_sum.defvjp(
    lambda *inputs: (_sum(*inputs), inputs),
    lambda inputs, upstream: (
        jnp.where(_valid(*inputs)[..., None], upstream, 0),
        None,
    ),
)


@jax.custom_vjp
def _max(x, lengths):
    return _shown(x, lengths).max(1, keepdims=True)


def _max_forward(x, lengths):
    output = _max(x, lengths)
    return output, (x, lengths, output)


def _max_backward(saved, upstream):
    x, lengths, output = saved
    return jnp.where(_shown(x, lengths) == output, upstream, 0), None


_max.defvjp(_max_forward, _max_backward)


def _shown(x, lengths):
    return x + jnp.where(_valid(x, lengths), 0, -jnp.inf)[..., None]


def weighted(work, weights):
    def call(inputs, variables, training):
        x, lengths, scores = inputs
        shown = jnp.where(_valid(x, lengths), scores[..., 0], -jnp.inf)
        return _weighted_sum(x, jax.nn.softmax(shown))

    return call, []


@jax.custom_vjp
def _weighted_sum(x, share):
    return share[:, None] @ x


def _weighted_sum_backward(inputs, upstream):
    x, share = inputs
    d_share = (x @ upstream.swapaxes(1, 2))[..., 0]
    return share[..., None] * upstream, d_share


_weighted_sum.defvjp(
    lambda *inputs: (_weighted_sum(*inputs), inputs), _weighted_sum_backward
)


def _arrays(weights):
    return [jnp.asarray(w) for w in weights]


def _valid(x, lengths):
    return jnp.arange(x.shape[1]) < lengths


def _divisor(number, most):
    """The largest that leaves no rest, up to `most`."""
    return next(n for n in range(max(1, most), 0, -1) if number % n == 0)


def _product(x, y):
    """x.T @ y, of all steps of all examples."""
    return x.reshape(-1, x.shape[-1]).T @ y.reshape(-1, y.shape[-1])


def _by_length(lengths):
    """Functions that put examples in order of length, and back."""
    order = jnp.argsort(lengths[:, 0])
    back = jnp.argsort(order)
    return (lambda x: _take(x, order, back)), (lambda x: _take(x, back, order))


@jax.custom_vjp
def _take(x, order, back):
    return x[order]


# A gather's own gradient is a scatter, which is slow.
_take.defvjp(
    lambda x, order, back: (x[order], back),
    lambda back, upstream: (upstream[back], None, None),
)
