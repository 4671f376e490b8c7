"""TensorFlow by hand: graphs that run as they are and under XLA.

Padding is not computed where that can be had: examples are put in order of
length, and groups of them go on only as far as their longest does.

- din: groups of about 6000 steps, cut to one of four static numbers of steps
  and computed again for the gradient, which is by hand. A whole batch takes 1.1
  times as long (XLA 1.2); eight ends gain a few percent more and take 20
  seconds to compile. The gradient by hand gains nothing on TensorFlow's own.
- augru: loops over two groups, each as long as its longest, with a gradient by
  hand. One group takes 1.05 times as long with 64 units, and less with 16; with
  more groups the graph has too many small steps.
- bilstm: BlockLSTM, with its gradient. XLA does not know it, and gets while
  loops with a gradient by hand, in which nothing is taken out of the loops:
  with gates kept, or sums over steps as one product at the end, these take 1.3
  times as long; in a graph, 1.5 times as long as BlockLSTM. (The
  gradient of BlockLSTMV2 is wrong in TensorFlow 2.21.)
- transformer: one head of one example at a time, 100 queries at a time as far
  as the sequence goes, in a graph with the keys cut too; the softmax's
  normaliser is kept for the gradient. All scores at once take 2.1 times as
  long.
- pooling, weighted: one batched product. Maxima have a gradient by hand: that
  of TensorFlow, which divides among equals, takes 1.4 times as long.
"""

import tensorflow as tf
from tensorflow.python.ops import (
    control_flow_util,
    rnn_grad,  # noqa: F401  (registers BlockLSTM's gradient)
)

FRAMEWORK = "tensorflow"

ROWS, ENDS = 6000, 4
EXAMPLES = 128
QUERIES = 100
# What is added to hide a score; twice that is still finite.
HIDDEN = -1e38


def din(work, weights):
    batch, steps, dim = work.batch, work.steps, work.dim
    candidates = work.candidates
    size = _divisor(batch, ROWS // (steps * candidates))
    count = batch // size
    ends = sorted({-(-steps * (i + 1) // ENDS) for i in range(ENDS)})
    fold = steps >= dim

    def by_end(does, lengths):
        before = tf.constant(ends) < tf.reduce_max(lengths)
        at = tf.reduce_sum(tf.cast(before, tf.int32))
        return tf.switch_case(at, [lambda end=end: does(end) for end in ends])

    @tf.custom_gradient
    def pool(query, keys, lengths, *weights):
        def group(i, written):
            def attend(end):
                k = keys[i][:, :end]
                return _attend(query[i], k, lengths[i], weights, fold)[0]

            return i + 1, written.write(i, by_end(attend, lengths[i]))

        def backward(upstream):
            def group(i, queries, keys_, total):
                def found(end):
                    used = query[i], keys[i][:, :end], lengths[i], weights
                    _, kept = _attend(*used, fold)
                    dq, dk, others = _attend_backward(
                        *used, fold, kept, upstream[i]
                    )
                    rest = ((0, 0), (0, steps - end), (0, 0))
                    return [dq, tf.pad(dk, rest), *others]

                dq, dk, *others = by_end(found, lengths[i])
                return (
                    i + 1,
                    queries.write(i, dq),
                    keys_.write(i, dk),
                    [x + y for x, y in zip(total, others, strict=True)],
                )

            _, dq, dk, others = _loop(
                count,
                group,
                _room(count, size, candidates, dim),
                _room(count, size, steps, dim),
                [tf.zeros_like(w) for w in weights],
            )
            return dq.stack(), dk.stack(), None, *others

        _, output = _loop(count, group, _room(count, size, candidates, dim))
        return output.stack(), backward

    def call(inputs, variables, training):
        query, keys, lengths = inputs
        put, put_back = _by_length(lengths)

        def grouped(x):
            return tf.reshape(put(x), (count, size, *x.shape[1:]))

        pooled = pool(
            *map(grouped, (query, keys, lengths)), *map(tf.identity, variables)
        )
        return put_back(tf.reshape(pooled, query.shape))

    return call, _variables(weights)


def _attend(query, keys, lengths, weights, fold):
    scorer, bias, kernel, kernel2, bias1, bias2 = weights
    batch, steps, dim = keys.shape
    candidates = query.shape[1]
    of_query, of_keys, of_both = _cut(kernel)
    added = _flat(query) @ of_query + bias1
    if fold:
        # An axis of size 1 more is slower under XLA.
        if candidates == 1:
            used = of_keys + query[:, 0, :, None] * of_both
        else:
            q = tf.transpose(query, (0, 2, 1))[..., None]
            used = of_keys[:, None] + q * of_both[:, None]
            used = tf.reshape(used, (batch, dim, -1))
        hidden = keys @ used
    else:
        used = _flat(keys[:, :, None] * query[:, None])
        both = tf.reshape(used @ of_both, (batch, steps, candidates, -1))
        from_keys = _flat(keys) @ of_keys
        hidden = tf.reshape(from_keys, (batch, steps, 1, -1)) + both
        hidden = tf.reshape(hidden, (batch, steps, -1))
    hidden += tf.reshape(added, (batch, 1, -1))
    hidden = tf.sigmoid(tf.reshape(hidden, (-1, bias1.shape[0])))
    hidden2 = tf.sigmoid(hidden @ kernel2 + bias2)
    scores = tf.reshape(hidden2 @ scorer + bias, (batch, steps, candidates))
    scores = tf.where(_valid(keys, lengths)[..., None], scores, 0.0)
    output = tf.matmul(scores, keys, transpose_a=True)
    return output, (used, hidden, hidden2, scores)


def _attend_backward(query, keys, lengths, weights, fold, kept, upstream):
    scorer, _, kernel, kernel2, bias1, _ = weights
    used, hidden, hidden2, scores = kept
    batch, steps, dim = keys.shape
    candidates, units = query.shape[1], bias1.shape[0]
    of_query, of_keys, of_both = _cut(kernel)
    ds = _times_transposed(keys, upstream)
    ds = _flat(tf.where(_valid(keys, lengths)[..., None], ds, 0.0))
    ds = tf.reshape(ds, (-1, 1))
    d2 = _through_sigmoid(_times_transposed(ds, scorer), hidden2)
    d1 = _through_sigmoid(_times_transposed(d2, kernel2), hidden)
    by_step = tf.reshape(d1, (batch, steps, -1))
    d_added = tf.reshape(tf.reduce_sum(by_step, 1), (-1, units))
    dk = scores @ upstream
    if fold:
        dk += _times_transposed(by_step, used)
        d_used = tf.matmul(keys, by_step, transpose_a=True)
        if candidates == 1:
            d_of_keys = tf.reduce_sum(d_used, 0)
            d_of_both = tf.reduce_sum(d_used * query[:, 0, :, None], 0)
            dq = tf.reduce_sum(d_used * of_both, -1)[:, None]
        else:
            q = tf.transpose(query, (0, 2, 1))[..., None]
            d_used = tf.reshape(d_used, (batch, dim, candidates, units))
            d_of_keys = tf.reduce_sum(d_used, (0, 2))
            d_of_both = tf.reduce_sum(d_used * q, (0, 2))
            dq = tf.reduce_sum(d_used * of_both[:, None], -1)
            dq = tf.transpose(dq, (0, 2, 1))
    else:
        d_of_both = tf.matmul(used, d1, transpose_a=True)
        d_used = _times_transposed(d1, of_both)
        d_used = tf.reshape(d_used, (batch, steps, candidates, dim))
        dq = tf.reduce_sum(d_used * keys[:, :, None], 1)
        from_keys = tf.reshape(d1, (-1, candidates, units))
        from_keys = tf.reduce_sum(from_keys, 1)
        d_of_keys = _product(keys, from_keys)
        dk += tf.reduce_sum(d_used * query[:, None], 2)
        dk += tf.reshape(_times_transposed(from_keys, of_keys), keys.shape)
    dq += tf.reshape(_times_transposed(d_added, of_query), query.shape)
    d_of_query = _product(query, d_added)
    d_kernel = [d_of_query, d_of_keys, d_of_query - d_of_keys, d_of_both]
    d_weights = [
        _product(hidden2, ds),
        tf.reduce_sum(ds, 0),
        tf.concat(d_kernel, 0),
        _product(hidden, d2),
        tf.reduce_sum(d_added, 0),
        tf.reduce_sum(d2, 0),
    ]
    return dq, dk, d_weights


def _cut(kernel):
    """DIN's first kernel, for the query, the keys and their product."""
    of_query, of_keys, apart, of_both = tf.split(kernel, 4)
    return of_query + apart, of_keys - apart, of_both


def augru(work, weights):
    batch, steps = work.batch, work.steps
    dim, units = work.dim, work.units
    size = _divisor(batch, EXAMPLES)

    def rooms():
        return [_room(steps, size, n * units) for n in (1, 2, 1)]

    def forward_group(x, scores, lengths, weights):
        kernel, bias, kernel_c, bias_c = weights
        shape = (steps, size, -1)
        from_x = tf.reshape(_flat(x) @ kernel[:dim] + bias, shape)
        from_x_c = tf.reshape(_flat(x) @ kernel_c[:dim] + bias_c, shape)
        valid = _valid_by_step(lengths)
        read = _reader(from_x, from_x_c, (1 - scores) * valid, 1 - valid)

        def step(t, h, kept):
            z, z_c, share, carried = read(t)
            gates = tf.sigmoid(z + h @ kernel[dim:])
            r, u = tf.split(gates, 2, -1)
            c = tf.tanh(z_c + (r * h) @ kernel_c[dim:])
            kept = _write(t, kept, (h, gates, c))
            return t + 1, c + (share * u + carried) * (h - c), kept

        _, h, kept = _loop(
            tf.reduce_max(lengths), step, tf.zeros((size, units)), rooms()
        )
        return h, [x.stack() for x in kept]

    def backward_group(x, scores, lengths, weights, kept, upstream):
        kernel, _, kernel_c, _ = weights
        old, gates, c = kept
        r, u = tf.split(gates, 2, -1)
        valid = _valid_by_step(lengths)
        stay = (1 - scores) * u * valid + 1 - valid
        of_score = (old - c) * u * valid
        read = _reader(
            of_score * (1 - scores) * (1 - u),
            old * r * (1 - r),
            (1 - stay) * (1 - c * c),
            stay,
            r,
        )
        last = tf.reduce_max(lengths) - 1
        of_gates = tf.transpose(kernel[dim:])
        of_candidate = tf.transpose(kernel_c[dim:])

        def step(i, dh, found):
            t = last - i
            to_u, to_r, to_c, stay_t, r_t = read(t)
            dc = dh * to_c
            d_reset = dc @ of_candidate
            d_gates = tf.concat([d_reset * to_r, dh * to_u], -1)
            found = _write(t, found, (dh, d_gates, dc))
            dh = dh * stay_t + d_reset * r_t + d_gates @ of_gates
            return i + 1, dh, found

        _, _, found = _loop(last + 1, step, upstream, rooms())
        dh, d_gates, dc = (y.stack() for y in found)
        dx = _times_transposed(_flat(d_gates), kernel[:dim])
        dx += _times_transposed(_flat(dc), kernel_c[:dim])
        d_scores = -tf.reduce_sum(dh * of_score, -1, keepdims=True)
        d_kernel = [_product(x, d_gates), _product(old, d_gates)]
        d_kernel_c = [_product(x, dc), _product(r * old, dc)]
        d_weights = [
            tf.concat(d_kernel, 0),
            tf.reduce_sum(_flat(d_gates), 0),
            tf.concat(d_kernel_c, 0),
            tf.reduce_sum(_flat(dc), 0),
        ]
        return tf.reshape(dx, x.shape), d_scores, d_weights

    def _valid_by_step(lengths):
        valid = tf.range(steps)[:, None, None] < lengths
        return tf.cast(valid, tf.float32)

    @tf.custom_gradient
    def run(x, scores, lengths, *weights):
        groups = list(zip(*map(tf.unstack, (x, scores, lengths)), strict=True))
        done = [forward_group(*group, weights) for group in groups]

        def backward(upstream):
            found = [
                backward_group(*group, weights, kept, up)
                for group, (_, kept), up in zip(
                    groups, done, tf.unstack(upstream), strict=True
                )
            ]
            dx, d_scores, d_weights = zip(*found, strict=True)
            total = [tf.add_n(w) for w in zip(*d_weights, strict=True)]
            return tf.stack(dx), tf.stack(d_scores), None, *total

        return tf.stack([h for h, _ in done]), backward

    def call(inputs, variables, training):
        x, lengths, scores = inputs
        put, put_back = _by_length(lengths)

        def by_step(x):
            grouped = tf.reshape(put(x), (-1, size, steps, x.shape[-1]))
            return tf.transpose(grouped, (0, 2, 1, 3))

        state = run(
            by_step(x),
            by_step(scores),
            tf.reshape(put(lengths), (-1, size, 1)),
            *map(tf.identity, variables),
        )
        return put_back(tf.reshape(state, (batch, 1, units)))

    return call, _variables(weights)


def bilstm(work, weights):
    def call(inputs, variables, training):
        x = tf.transpose(inputs[0], (1, 0, 2))  # all steps count
        run = _loop_lstm if _in_xla() else _block_lstm
        forward = run(x, *map(tf.identity, variables[:3]))
        x = tf.reverse(x, (0,))
        backward = run(x, *map(tf.identity, variables[3:]))
        both = tf.concat([forward, tf.reverse(backward, (0,))], -1)
        return tf.transpose(both, (1, 0, 2))

    return call, _variables(weights)


def _block_lstm(x, kernel, recurrent, bias):
    steps, batch, _ = x.shape
    units = recurrent.shape[0]

    def in_its_order(w):
        i, f, g, o = tf.split(w, 4, -1)
        return tf.concat([i, g, f, o], -1)

    start, peephole = tf.zeros((batch, units)), tf.zeros(units)
    return tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(steps, tf.int64),
        x=x,
        cs_prev=start,
        h_prev=start,
        w=in_its_order(tf.concat([kernel, recurrent], 0)),
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=in_its_order(bias),
        forget_bias=0.0,
        cell_clip=-1.0,
        use_peephole=False,
    ).h


@tf.custom_gradient
def _loop_lstm(x, kernel, recurrent, bias):
    steps, batch, _ = x.shape
    units = recurrent.shape[0]
    start = tf.zeros((batch, units))
    read = _reader(x)

    def cell(x, h, c):
        z = x @ kernel + h @ recurrent + bias
        i, f, g, o = tf.split(z, 4, -1)
        i, f, o = map(tf.sigmoid, (i, f, o))
        g = tf.tanh(g)
        c = f * c + i * g
        return i, f, g, o, c, tf.tanh(c)

    def step(t, h, c, kept):
        *_, o, c, shown = cell(*read(t), h, c)
        h = o * shown
        return t + 1, h, c, _write(t, kept, (h, c))

    rooms = [_room(steps, batch, units) for _ in range(2)]
    *_, kept = _loop(steps, step, start, start, rooms)
    outputs, states = (y.stack() for y in kept)

    def backward(upstream):
        # The gates are computed again and the weights' gradients added up at
        # each step: to keep what one product at the end needs takes longer.
        h, c = (tf.concat([start[None], y[:-1]], 0) for y in (outputs, states))
        read = _reader(x, h, c, upstream)
        used = tf.transpose(kernel), tf.transpose(recurrent)

        def step(n, dh, dc, total, dx):
            t = steps - 1 - n
            x_t, h_t, c_t, up = read(t)
            i, f, g, o, _, shown = cell(x_t, h_t, c_t)
            dh += up
            dc += dh * o * (1 - shown * shown)
            dz = [
                dc * g * i * (1 - i),
                dc * c_t * f * (1 - f),
                dc * i * (1 - g * g),
                dh * shown * o * (1 - o),
            ]
            dz = tf.concat(dz, -1)
            found = _product(x_t, dz), _product(h_t, dz), tf.reduce_sum(dz, 0)
            total = [y + new for y, new in zip(total, found, strict=True)]
            dx = dx.write(t, dz @ used[0])
            return n + 1, dz @ used[1], dc * f, total, dx

        zeros = [tf.zeros_like(w) for w in (kernel, recurrent, bias)]
        room = _room(*x.shape)
        *_, total, dx = _loop(steps, step, start, start, zeros, room)
        return dx.stack(), *total

    return outputs, backward


def transformer(work, weights):
    steps, heads, units = work.steps, work["heads"], work.units
    each = work.batch * heads
    size = _divisor(steps, QUERIES)
    count = steps // size
    at_query = tf.reshape(tf.range(steps), (count, size)).numpy()

    def scores(q, group, k, length):
        at_key = tf.range(tf.shape(k)[0])
        found = _times_transposed(q, k)
        found += tf.where(at_key < length, 0.0, HIDDEN)
        if work["blinding"]:
            itself = tf.gather(at_query, group)[:, None] == at_key
            found = tf.where(itself, 2 * HIDDEN, found)
        return found

    @tf.custom_gradient
    def attend(query, keys, values, lengths):
        groups = (lengths + size - 1) // size
        in_xla = _in_xla()

        def of_head(head):
            """XLA knows no tensors of unknown size."""
            length = lengths[head]
            end = steps if in_xla else length
            return length, keys[head][:end], values[head][:end]

        def forward_head(head, outputs, logs):
            length, k, v = of_head(head)

            def group(i, outputs, logs):
                shown = scores(query[head, i], i, k, length)
                top = tf.reduce_max(shown, -1, keepdims=True)
                shown = tf.exp(shown - top)
                total = tf.reduce_sum(shown, -1, keepdims=True)
                at = head * count + i
                outputs = outputs.write(at, shown @ v / total)
                return i + 1, outputs, logs.write(at, top + tf.math.log(total))

            done = _loop(groups[head], group, outputs, logs)
            return head + 1, *done[1:]

        def rooms(*widths):
            return [_room(each * count, size, width) for width in widths]

        _, outputs, logs = _loop(each, forward_head, *rooms(units, 1))
        outputs = tf.reshape(outputs.stack(), (each, count, size, units))
        logs = tf.reshape(logs.stack(), (each, count, size, 1))

        def backward(upstream):
            def backward_head(head, queries, keys_, values_):
                length, k, v = of_head(head)

                def group(i, queries, dk, dv):
                    q, up = query[head, i], upstream[head, i]
                    shown = tf.exp(scores(q, i, k, length) - logs[head, i])
                    mean = tf.reduce_sum(
                        up * outputs[head, i], -1, keepdims=True
                    )
                    d_scores = shown * (_times_transposed(up, v) - mean)
                    queries = queries.write(head * count + i, d_scores @ k)
                    dk += tf.matmul(d_scores, q, transpose_a=True)
                    dv += tf.matmul(shown, up, transpose_a=True)
                    return i + 1, queries, dk, dv

                _, queries, dk, dv = _loop(
                    groups[head],
                    group,
                    queries,
                    tf.zeros_like(k),
                    tf.zeros_like(v),
                )
                if not in_xla:
                    rest = ((0, steps - length), (0, 0))
                    dk, dv = tf.pad(dk, rest), tf.pad(dv, rest)
                return (
                    head + 1,
                    queries,
                    keys_.write(head, dk),
                    values_.write(head, dv),
                )

            _, dq, dk, dv = _loop(
                each,
                backward_head,
                *rooms(units),
                _room(each, steps, units),
                _room(each, steps, units),
            )
            dq = tf.reshape(dq.stack(), query.shape)
            return dq, dk.stack(), dv.stack(), None

        return outputs, backward

    def call(inputs, variables, training):
        x, lengths = inputs

        def split(kernel):
            y = tf.reshape(_flat(x) @ kernel, (-1, steps, heads, units))
            y = tf.transpose(y, (0, 2, 1, 3))
            return tf.reshape(y, (each, steps, units))

        q, k, v = map(split, variables)
        q = tf.reshape(q * units**-0.5, (each, count, size, units))
        output = attend(q, k, v, tf.repeat(lengths[:, 0], heads))
        output = tf.reshape(output, (-1, heads, steps, units))
        output = tf.reshape(tf.transpose(output, (0, 2, 1, 3)), x.shape)
        return tf.where(_valid(x, lengths)[..., None], output, 0.0)

    return call, _variables(weights)


def pooling(work, weights):
    mode = work["mode"]

    def call(inputs, variables, training):
        x, lengths = inputs
        if mode == "max":
            return _max(x, lengths)
        total = tf.cast(_valid(x, lengths), x.dtype)[:, None] @ x
        if mode == "mean":
            total /= tf.cast(lengths, x.dtype)[..., None]
        return total

    return call, []


@tf.custom_gradient
def _max(x, lengths):
    shown = x + tf.where(_valid(x, lengths), 0.0, HIDDEN)[..., None]
    output = tf.reduce_max(shown, 1, keepdims=True)

    def backward(upstream):
        return tf.cast(shown == output, x.dtype) * upstream, None

    return output, backward


def weighted(work, weights):
    def call(inputs, variables, training):
        x, lengths, scores = inputs
        shown = tf.where(_valid(x, lengths), scores[..., 0], HIDDEN)
        return tf.nn.softmax(shown)[:, None] @ x

    return call, []


def _variables(weights):
    return [tf.Variable(w) for w in weights]


def _in_xla():
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


def _valid(x, lengths):
    return tf.range(x.shape[1]) < lengths


def _divisor(number, most):
    """The largest that leaves no rest, up to `most`."""
    return next(n for n in range(max(1, most), 0, -1) if number % n == 0)


def _by_length(lengths):
    """Functions that put examples in order of length, and back."""
    order = tf.argsort(lengths[:, 0])
    back = tf.argsort(order)
    return (lambda x: _take(x, order, back)), (lambda x: _take(x, back, order))


@tf.custom_gradient
def _take(x, order, back):
    # A gather's own gradient is a sum over slices, which is slow.
    def backward(upstream):
        return tf.gather(upstream, back), None, None

    return tf.gather(x, order), backward


def _flat(x):
    return tf.reshape(x, (-1, x.shape[-1]))


def _product(x, y):
    """x.T @ y, of all steps of all examples."""
    return tf.matmul(_flat(x), _flat(y), transpose_a=True)


def _times_transposed(x, y):
    return tf.matmul(x, y, transpose_b=True)


def _through_sigmoid(upstream, output):
    return tf.raw_ops.SigmoidGrad(y=output, dy=upstream)


def _loop(count, step, *start):
    return tf.while_loop(lambda i, *_: i < count, step, (0, *start))


def _room(count, *shape):
    return tf.TensorArray(tf.float32, count, element_shape=shape)


def _write(t, rooms, values):
    return [x.write(t, y) for x, y in zip(rooms, values, strict=True)]


def _reader(*tensors):
    """A function that gives what stands at a step of each tensor."""
    arrays = [_room(x.shape[0], *x.shape[1:]).unstack(x) for x in tensors]
    return lambda t: [x.read(t) for x in arrays]
