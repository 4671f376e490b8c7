"""Draws an op of `kseq.ops`, its arguments, shapes, masks and numbers."""

import numpy as np
from hypothesis import strategies as st
from keras import ops

import kseq.ops
from kseq.ops import numerics
from kseq.ops import positions as positions_ops
from tests.reference import attention as ref_attention
from tests.reference import pooling as ref_pooling
from tests.reference import recurrence as ref_recurrence
from tests.reference import transformer as ref_transformer
from tests.reference.masks import select, softmax


def as_layer(function):
    """Called as a layer is: with its inputs, and their masks by name."""

    def call(inputs, mask=None):
        inputs = inputs if isinstance(inputs, list) else [inputs]
        masks = mask if isinstance(mask, list) else [mask]
        return function(*inputs, *(m for m in masks if m is not None))

    return lambda: call


def behind(mask, rank):
    """A mask with axes of size 1 behind it."""
    return mask.reshape(mask.shape + (1,) * (rank - mask.ndim))


def shape_of(d, least, most):
    rank = d.draw(st.integers(least, most))
    return (d.batch, d.one_of((1, 2, 5)), 2, d.dim)[:rank]


def zero_padding(d):
    shape = shape_of(d, 2, 4)
    rank = d.draw(st.integers(1, len(shape)))
    d.valid["x"] = d.bits(*shape[:rank])
    return d.drawn(
        as_layer(kseq.ops.zero_padding),
        {"x": d.numbers(*shape)},
        lambda f, v, _: select(behind(v["x"], len(shape)), f["x"]),
        outputs=((1, "x") if rank > 1 else None,),
        grows=rank > 1,
    )


def masked_softmax(d):
    shape = shape_of(d, 1, 4)
    rank = len(shape)
    axis = d.draw(st.integers(-rank, rank - 1))
    valid = d.valid["x"] = d.broadcast_bits(shape)
    steps = rank > 1 and valid.shape[1] == shape[1]

    def reference(f, v, _):
        scores = np.moveaxis(f["x"], axis, -1)
        on = np.moveaxis(np.broadcast_to(v["x"], f["x"].shape), axis, -1)
        return np.moveaxis(softmax(scores, on), -1, axis)

    return d.drawn(
        as_layer(lambda x, v: kseq.ops.masked_softmax(x, v, axis)),
        {"x": d.numbers(*shape)},
        reference,
        degree=0,
        outputs=((1, "x") if steps else None,),
        independent_rows=axis % rank != 0 and len(valid) == d.batch,
        grows=steps,
    )


def moments(d):
    shape = shape_of(d, 1, 4)
    rank = len(shape)
    axes = d.draw(st.sets(st.integers(0, rank - 1), min_size=1))
    signs = [d.flag() for _ in axes]
    asked = [a - rank * s for a, s in zip(axes, signs, strict=True)]
    axes = tuple(axes)
    masked = d.flag()
    if masked:
        valid = d.valid["x"] = d.broadcast_bits(shape)

    def reference(f, v, _):
        x = f["x"]
        on = np.broadcast_to(v.get("x", True), x.shape)
        count = on.sum(axis=axes, keepdims=True).astype("float64")
        some = np.maximum(count, 1)
        mean = select(on, x).sum(axis=axes, keepdims=True) / some
        squares = select(on, (x - mean) ** 2)
        return mean, squares.sum(axis=axes, keepdims=True) / some, count

    steps = masked and rank > 1 and valid.shape[1] == shape[1]
    return d.drawn(
        # Of halves it says nothing.
        as_layer(lambda x, *v: numerics.moments(numerics.upcast(x), asked, *v)),
        {"x": d.numbers(*shape)},
        reference,
        degree=2,
        outputs=((1, "x") if steps and 1 not in axes else None,) * 3,
        independent_rows=0 not in axes
        and (not masked or len(valid) == d.batch),
        grows=steps,
    )


def masked_pooling(d):
    d.draws_lengths = False
    steps, mode = d.sequence("x"), d.one_of(("sum", "mean", "max"))
    function = getattr(kseq.ops, f"masked_{mode}")
    return d.drawn(
        as_layer(function),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, v, _: ref_pooling.pool(f["x"], v["x"], mode)[:, 0],
    )


def k_max(d):
    shape = shape_of(d, 2, 4)
    rank = len(shape)
    axis = d.draw(st.integers(1, rank - 1))
    k = d.draw(st.integers(1, shape[axis]))
    asked = axis - rank * d.flag()
    masked = d.flag()
    if masked:
        d.valid["x"] = d.bits(*shape[:2])
    return d.drawn(
        as_layer(lambda x, v=None: kseq.ops.k_max(x, k, asked, v)),
        {"x": d.numbers(*shape)},
        lambda f, v, _: ref_pooling.k_max(f["x"], k, axis, v.get("x")),
        outputs=((1, "x") if masked and axis > 1 else None,),
        grows=masked,
    )


def linear(d):
    shape, units = shape_of(d, 1, 4), d.one_of((1, 3))
    shape = (*shape[:-1], d.dim)
    shared = {"kernel": d.weights(d.dim, units)}
    if d.flag():
        shared["bias"] = d.weights(units)
    return d.drawn(
        as_layer(kseq.ops.linear),
        {"x": d.numbers(*shape)},
        lambda f, *_: f["x"] @ f["kernel"] + f.get("bias", 0.0),
        shared=shared,
        independent_rows=len(shape) > 1,
    )


def pointwise(d):
    """What each row of the last axis gives by itself."""
    name = d.one_of(("tanh", "l2_normalize", "layer_normalize"))
    shape = (*shape_of(d, 1, 4)[:-1], d.dim)
    shared = {}
    if name == "layer_normalize":
        shared = {"gamma": d.weights(d.dim), "beta": d.weights(d.dim)}

    def reference(f, *_):
        if name == "layer_normalize":
            return ref_transformer.layer_norm(f["x"], f["gamma"], f["beta"])
        return {"tanh": np.tanh, "l2_normalize": ref_transformer.unit}[name](
            f["x"]
        )

    return d.drawn(
        as_layer(getattr(kseq.ops, name)),
        {"x": d.numbers(*shape)},
        reference,
        shared=shared,
        degree=0,
        independent_rows=name == "tanh" or len(shape) > 1,
    )


def step_weights(d):
    d.draws_lengths = False
    steps, normalize = d.sequence("x"), d.flag()

    def reference(f, v, _):
        if normalize:
            return softmax(f["x"], v["x"])
        return select(v["x"], f["x"])

    return d.drawn(
        as_layer(lambda x, v: kseq.ops.step_weights(x, v, normalize)),
        {"x": d.numbers(d.batch, steps)},
        reference,
        outputs=((1, "x"),),
    )


def resolve_mask(d):
    """Lengths and a mask, both or one of them, and what they leave."""
    d.draws_lengths = True
    steps = d.sequence("x")
    lengths, both = d.lengths["x"], d.flag()
    shape = (d.batch, steps, d.dim)[: d.one_of((2, 3))]
    if both:
        mask = d.bits(d.batch, steps)
        d.valid["x"] &= mask

    def call(inputs):
        # Told by themselves, as integers or in full floats.
        told = ops.convert_to_tensor(lengths)
        if not both:
            valid = kseq.ops.lengths_to_mask(told, inputs)
        else:
            valid = kseq.ops.resolve_mask(inputs, mask, told)
        return kseq.ops.zero_padding(inputs, valid)

    return d.drawn(
        lambda: call,
        {"x": d.numbers(*shape)},
        lambda f, v, _: select(behind(v["x"], len(shape)), f["x"]),
        outputs=((1, "x"),),
        masked=False,
        # The lengths are not among what is cut or made longer.
        independent_rows=False,
        grows=False,
    )


def positions(d):
    d.draws_lengths = False
    steps = d.sequence("x")

    def call(x, table):
        return (
            x
            + positions_ops.sinusoid_like(x)
            + positions_ops.first_rows(table, x)
        )

    return d.drawn(
        as_layer(call),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, *_: (
            f["x"]
            + ref_transformer.table(f["x"].shape[1], d.dim)
            + f["table"][: f["x"].shape[1]]
        ),
        shared={"table": d.weights(d.one_of((11, 20)), d.dim)},
        outputs=((1, "x"),),
        masked=False,
        own_padding=True,
    )


def heads(d):
    """Attention of so few scores at a time that queries come in groups."""
    d.draws_lengths = False
    asked, steps = d.sequence("queries"), d.sequence("keys")
    kind = d.one_of(("scaled_dot_product", "cos", "ln", "additive"))
    number, dim = d.one_of((1, 2)), 4
    blinding, all_queries = d.flag(), d.flag()
    most = d.one_of((1, 6, 30, 1 << 20))
    names = {"ln": ("gq", "bq", "gk", "bk"), "additive": ("b", "v")}
    names = names.get(kind, ())

    def call(query, keys, values, *rest):
        weights, (query_valid, valid) = rest[:-2], rest[-2:]
        keys = kseq.ops.zero_padding(keys, valid)
        values = kseq.ops.zero_padding(values, valid)
        query = kseq.ops.zero_padding(query, query_valid)
        query, keys, values = (
            ops.transpose(x, (0, 2, 1, 3)) for x in (query, keys, values)
        )
        found = kseq.ops.multi_head_attention(
            query,
            keys,
            values,
            valid,
            kind,
            tuple(weights),
            blinding,
            max_scores=most,
            query_valid=None if all_queries else query_valid,
        )
        return ops.transpose(found, (0, 2, 1, 3))

    def reference(f, v, _):
        allowed = np.repeat(v["keys"][:, None], asked, axis=1)
        if blinding:
            allowed = allowed & ~np.eye(asked, steps, dtype=bool)
        q, k, x = (
            select(v[of][..., None, None], f[name])
            for name, of in (
                ("queries", "queries"),
                ("keys", "keys"),
                ("values", "keys"),
            )
        )
        weights = [f[name] for name in names]
        found = [
            softmax(
                ref_transformer.scores(q[:, :, h], k[:, :, h], kind, weights),
                allowed,
            )
            @ x[:, :, h]
            for h in range(number)
        ]
        found = np.stack(found, axis=2)
        if all_queries:
            return found
        return select(v["queries"][..., None, None], found)

    return d.drawn(
        as_layer(call),
        {
            "queries": d.numbers(d.batch, asked, number, dim),
            "keys": d.numbers(d.batch, steps, number, dim),
            "values": d.numbers(d.batch, steps, number, dim),
        },
        reference,
        shared={name: d.weights(dim) for name in names},
        steps_of={"values": "keys"},
        outputs=((1, "queries"),),
    )


def gru(d):
    d.draws_lengths = False
    steps, units = d.sequence("x"), d.one_of((1, 4))
    kind = d.one_of(("GRU", "AIGRU", "AGRU", "AUGRU"))
    form, starts = d.one_of(("deepctr", "paper")), d.flag()
    attended = kind in ("AGRU", "AUGRU")
    features = {"x": d.numbers(d.batch, steps, d.dim)}
    if attended:
        features["scores"] = d.weights(d.batch, steps)
    if starts:
        features["state"] = d.weights(d.batch, units)
    both = d.dim + units
    shared = {
        "gates": d.weights(both, 2 * units),
        "gates_bias": d.weights(2 * units),
        "candidate": d.weights(both, units),
        "candidate_bias": d.weights(units),
    }

    def call(x, *rest):
        *others, gates, gates_bias, candidate, candidate_bias, valid = rest
        return kseq.ops.gru(
            x,
            valid,
            gates,
            gates_bias,
            candidate,
            candidate_bias,
            others[0] if attended else None,
            kind,
            form,
            others[-1] if starts else None,
        )

    return d.drawn(
        as_layer(call),
        features,
        lambda f, v, _: ref_recurrence.gru(
            f["x"],
            v["x"],
            [f[name] for name in shared],
            f.get("scores"),
            kind,
            form,
            f.get("state"),
        ),
        shared=shared,
        steps_of={"scores": "x"},
        outputs=((1, "x"), None),
    )


def lstm(d):
    d.draws_lengths = False
    steps, units, reverse = d.sequence("x"), d.one_of((1, 4)), d.flag()
    shared = {
        "kernel": d.weights(d.dim, 4 * units),
        "recurrent": d.weights(units, 4 * units),
        "bias": d.weights(4 * units),
    }

    def call(x, kernel, recurrent, bias, valid):
        return kseq.ops.lstm(x, valid, kernel, recurrent, bias, reverse)

    return d.drawn(
        as_layer(call),
        {"x": d.numbers(d.batch, steps, d.dim)},
        lambda f, v, _: ref_recurrence.lstm(
            f["x"], v["x"], *(f[name] for name in shared), reverse
        ),
        shared=shared,
        outputs=((1, "x"),),
    )


def din_hidden(d):
    steps, candidates = d.one_of((1, 2, 5)), d.one_of((1, 3))
    units, form = d.one_of((1, 3)), d.one_of(("fold", "split"))

    def reference(f, *_):
        q, k = f["query"][:, :, None], f["x"][:, None]
        q, k = np.broadcast_arrays(q, k)
        x = np.concatenate([q, k, q - k, q * k], axis=-1)
        return x @ f["kernel"] + f["bias"]

    return d.drawn(
        as_layer(lambda *x: kseq.ops.din_hidden(*x, form)),
        {
            "query": d.numbers(d.batch, candidates, d.dim),
            "x": d.numbers(d.batch, steps, d.dim),
        },
        reference,
        shared={
            "kernel": d.weights(4 * d.dim, units),
            "bias": d.weights(units),
        },
        degree=2,
    )


def attend(d):
    """The weights of attention, and what they pool."""
    d.draws_lengths = False
    steps, candidates = d.sequence("x"), d.one_of((1, 3))
    normalize = d.flag()

    def call(x, scores, valid):
        scores = ops.transpose(scores, (0, 2, 1))
        weights = kseq.ops.attention_weights(scores, valid, normalize)
        keys = kseq.ops.zero_padding(x, valid)
        return weights, kseq.ops.attention_pool(weights, keys)

    def reference(f, v, _):
        scores = np.swapaxes(f["scores"], 1, 2)
        weights = ref_attention.attention_weights(scores, v["x"], normalize)
        return weights, weights @ select(v["x"][..., None], f["x"])

    return d.drawn(
        as_layer(call),
        {
            "x": d.numbers(d.batch, steps, d.dim),
            "scores": d.weights(d.batch, steps, candidates),
        },
        reference,
        steps_of={"scores": "x"},
        outputs=((2, "x"), None),
    )


OPS = (
    zero_padding,
    masked_softmax,
    moments,
    masked_pooling,
    k_max,
    linear,
    pointwise,
    step_weights,
    resolve_mask,
    positions,
    heads,
    gru,
    lstm,
    din_hidden,
    attend,
)

PADDED = tuple(m for m in OPS if m not in (linear, pointwise, din_hidden))
