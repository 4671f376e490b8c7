"""The data flow of each layer; see `flow.py`."""

import numpy as np
from keras import ops

from docs.figures.flow import Box, Flow
from kseq.layers import (
    DNN,
    AttentionSequencePoolingLayer,
    AuxiliaryLoss,
    BatchNormalization,
    BiasEncoding,
    BiLSTM,
    Dice,
    DynamicGRU,
    KMaxPooling,
    LayerNormalization,
    LocalActivationUnit,
    PositionEncoding,
    PredictionLayer,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from kseq.ops import (
    attention_pool,
    attention_weights,
    din_hidden,
    layer_normalize,
    lengths_to_mask,
    linear,
    lstm,
    masked_mean,
    masked_softmax,
    moments,
    tanh,
    zero_padding,
)

DIMS = {"B": 2, "T": 5, "E": 6}
X = Box("x", (0, 0), "steps $x$", "B T E")
LENGTHS = np.array([5, 2], "int32")
COUNTS = "which steps count\n$m_{bt} = [\\,t < n_b\\,]$"
ZEROS = "$x$ where $m = 1$, else 0"


NORMALISED = "$\\gamma\\,(x - \\mu)\\,/\\sqrt{\\sigma^2 + \\epsilon} + \\beta$"


def lengths(column, row=0):
    return Box("n", (column, row), "lengths $n$", "B", value=LENGTHS)


def steps_that_count(column, row=1, of="n ~x"):
    return Box("m", (column, row), COUNTS, "B T", of, lengths_to_mask)


def without_padding(column, row=2):
    return Box("x0", (column, row), ZEROS, "B T E", "x m", zero_padding)


def sequence_pooling_layer():
    return Flow(
        lambda: SequencePoolingLayer("mean", name="layer"),
        DIMS,
        (
            X,
            lengths(1),
            steps_that_count(1),
            without_padding(0),
            Box(
                "total",
                (0, 3),
                "sum over the steps\n$\\sum_t m_{bt}\\,x_{bt}$",
                "B E",
                "x0",
                lambda x: ops.sum(x, axis=1),
            ),
            Box(
                "count",
                (1, 3),
                "how many count\n$\\max(1, \\sum_t m_{bt})$",
                "B 1",
                "m",
                lambda m: ops.maximum(
                    ops.sum(ops.cast(m, "float32"), axis=1, keepdims=True), 1
                ),
            ),
            Box(
                "y",
                (0.5, 4),
                "their quotient: the mean",
                "B 1 E",
                "total count",
                lambda total, count: (total / count)[:, None],
            ),
        ),
        "x n",
    )


def weighted_sequence_layer():
    return Flow(
        lambda: WeightedSequenceLayer(name="layer"),
        DIMS,
        (
            X,
            lengths(1),
            Box("w", (2, 0), "weights $w$", "B T 1"),
            steps_that_count(1),
            without_padding(0),
            Box(
                "a",
                (2, 2),
                "softmax over what counts\n"
                "$m_{bt}\\,e^{w_{bt}} / \\sum_u m_{bu}\\,e^{w_{bu}}$",
                "B T",
                "m w",
                lambda m, w: masked_softmax(w[..., 0], m),
            ),
            Box(
                "y",
                (1, 3),
                "$y_{bt} = a_{bt}\\,x_{bt}$",
                "B T E",
                "x0 a",
                lambda x, a: x * a[..., None],
            ),
        ),
        "x n w",
    )


SCORED = (
    "$[q,\\ x,\\ q - x,\\ q \\odot x]\\,W_0 + b_0$\n"
    "the concatenation is not made"
)
REST = "$\\sigma$, the second layer, $\\sigma$,\nand $w \\cdot h + b$"


def _rest(h, kernel1, bias1, kernel, bias):
    h = ops.sigmoid(linear(ops.sigmoid(h), kernel1, bias1))
    return linear(h, kernel, bias)[..., 0]


def attention_sequence_pooling_layer():
    unit = "local_activation_unit"
    return Flow(
        lambda: AttentionSequencePoolingLayer((8, 4), name="layer"),
        {**DIMS, "K": 3, "H": 8, "G": 4},
        (
            Box("q", (0, 0), "candidates $q$", "B K E"),
            Box("x", (1, 0), "history $x$", "B T E"),
            lengths(2),
            steps_that_count(2),
            without_padding(1),
            Box(
                "h",
                (0, 3),
                SCORED,
                "B K T H",
                "q x0",
                din_hidden,
                {
                    f"{unit}/dnn/kernel0": "4E H",
                    f"{unit}/dnn/bias0": "H",
                },
            ),
            Box(
                "s",
                (0, 4),
                f"scores $s$: {REST}",
                "B K T",
                "h",
                _rest,
                {
                    f"{unit}/dnn/kernel1": "H G",
                    f"{unit}/dnn/bias1": "G",
                    f"{unit}/kernel": "G 1",
                    f"{unit}/bias": "1",
                },
            ),
            Box(
                "a",
                (0.5, 5),
                "weights $a = m\\,s$, or a softmax\nof $s$ over what counts",
                "B K T",
                "s m",
                attention_weights,
                lanes={"m": 2},
            ),
            Box(
                "y",
                (0.5, 6),
                "$y_{bk} = \\sum_t a_{bkt}\\,x_{bt}$",
                "B K E",
                "a x0",
                attention_pool,
                lanes={"x0": 1.55},
            ),
        ),
        "q x n",
    )


def k_max_pooling():
    def zero_where_none(top, m):
        left = ops.sum(ops.cast(m, "int32"), axis=1)[:, None, None]
        place = ops.arange(top.shape[1], dtype="int32")[None, :, None]
        return ops.where(place < left, top, 0.0)

    return Flow(
        lambda: KMaxPooling(3, name="layer"),
        {**DIMS, "k": 3},
        (
            X,
            lengths(1),
            steps_that_count(1),
            Box(
                "shown",
                (0, 2),
                "$x$ where $m = 1$, else $-\\infty$",
                "B T E",
                "x m",
                lambda x, m: ops.where(m[..., None], x, -np.inf),
            ),
            Box(
                "top",
                (0, 3),
                "the $k$ largest of each feature,\nlargest first",
                "B k E",
                "shown",
                lambda x: ops.flip(ops.sort(x, axis=1), axis=1)[:, :3],
            ),
            Box(
                "y",
                (0.5, 4),
                "0 where there are no $k$ steps",
                "B k E",
                "top m",
                zero_where_none,
            ),
        ),
        "x n",
    )


def bilstm():
    def weights(name, dim):
        return {
            f"{name}_kernel": f"{dim} 4U",
            f"{name}_recurrent_kernel": "U 4U",
            f"{name}_bias": "4U",
        }

    def layer(name, column, row, text, of, stack, dim, reverse):
        return Box(
            name,
            (column, row),
            f"LSTM, {text}",
            "B T U",
            f"{of} ~m",
            lambda x, m, *w: lstm(x, m, *w, reverse=reverse),
            weights(stack, dim),
        )

    first, last = "first to last step", "last that counts to first"
    return Flow(
        lambda: BiLSTM(4, layers=2, merge_mode="ave", name="layer"),
        {**DIMS, "U": 4},
        (
            X,
            lengths(1),
            steps_that_count(1),
            without_padding(0.5),
            layer("f1", 0, 3, first, "x0", "forward0", "E", False),
            layer("f2", 0, 4, first, "f1", "forward1", "U", False),
            layer("b1", 1, 3, last, "x0", "backward0", "E", True),
            layer("b2", 1, 4, last, "b1", "backward1", "U", True),
            Box(
                "y",
                (0.5, 5),
                "merge_mode: here their mean",
                "B T U",
                "f2 b2",
                lambda f, b: (f + b) / 2,
            ),
        ),
        "x n",
    )


def dynamic_gru():
    t = 1
    column = {"h": 0, "x": 1, "a": 2}

    def before(layer, x, n, a):
        return layer([x, n, a])[:, t - 1]

    def gates(h, x, kernel, bias):
        return ops.sigmoid(linear(ops.concatenate([x, h], -1), kernel, bias))

    def candidate(ru, h, x, kernel, bias):
        reset = ru[:, :4] * h
        return tanh(linear(ops.concatenate([x, reset], -1), kernel, bias))

    return Flow(
        lambda: DynamicGRU(4, "AUGRU", name="layer"),
        {**DIMS, "U": 4},
        (
            lengths(0),
            Box("x", (column["x"], 0), "steps $x$", "B T E"),
            Box("a", (column["a"], 0), "attention scores $a$", "B T"),
            Box(
                "h",
                (column["h"], 1),
                "state before step $t$: $h_{t-1}$",
                "B U",
                "~layer ~x ~n ~a",
                before,
            ),
            Box(
                "x_t",
                (column["x"], 1),
                "step $t$",
                "B E",
                "x",
                lambda x: x[:, t],
            ),
            Box(
                "a_t",
                (column["a"], 1),
                "its score",
                "B 1",
                "a",
                lambda a: a[:, t, None],
            ),
            Box(
                "ru",
                (1, 2),
                "gates $[r, u] = \\sigma([x_t, h]\\,W_g + b_g)$",
                "B 2U",
                "h x_t",
                gates,
                {"gates_kernel": "E+U 2U", "gates_bias": "2U"},
            ),
            Box(
                "c",
                (1, 3),
                "$c = \\tanh([x_t, r \\odot h]\\,W_c + b_c)$",
                "B U",
                "ru h x_t",
                candidate,
                {"candidate_kernel": "E+U U", "candidate_bias": "U"},
                lanes={"x_t": 1.52},
            ),
            Box(
                "w",
                (2, 3),
                "$w = 1 - (1 - a_t)\\,u$\n"
                "GRU: $1 - u$;  AGRU: $a_t$;\n"
                "paper's AUGRU: $a_t\\,u$",
                "B U",
                "ru a_t",
                lambda ru, a: 1 - (1 - a) * ru[:, 4:],
            ),
            Box(
                "h_t",
                (1, 4),
                "$h_t = h_{t-1} + w \\odot (c - h_{t-1})$",
                "B U",
                "h c w",
                lambda h, c, w: h + w * (c - h),
            ),
            Box(
                "y",
                (1, 5),
                "all $h_t$; past the end 0,\nand the last state stays",
                "B T U",
                "n h_t ~layer ~x ~a",
                lambda n, h, layer, x, a: layer([x, n, a]),
                lanes={"n": -0.56},
            ),
        ),
        "x n a",
        {
            "h_t": lambda layer, v: layer([v["x"], v["n"], v["a"]])[:, t],
            "y": lambda layer, v: layer([v["x"], v["n"], v["a"]]),
        },
    )


def transformer():
    def heads(x, kernel):
        x = ops.reshape(linear(x, kernel), (*x.shape[:2], 2, 3))
        return ops.transpose(x, (0, 2, 1, 3))

    def add_positions(x, table):
        return x + 6**0.5 * table[: x.shape[1]]

    def weights(q, k, m, nq):
        s = (q @ ops.transpose(k, (0, 1, 3, 2))) / 3**0.5
        others = 1 - np.eye(q.shape[2], k.shape[2])
        shown = ops.logical_and(m[:, None, None], ops.cast(others, "bool"))
        a = masked_softmax(s, shown)
        return ops.where(nq[:, None, :, None], a, 0.0)

    def found(a, v):
        y = ops.transpose(a @ v, (0, 2, 1, 3))
        return ops.reshape(y, (*y.shape[:2], 6))

    def add_and_normalise(x, y, gamma, beta):
        return layer_normalize(x + y, gamma, beta)

    norm = {"layer_normalization/gamma": "E", "layer_normalization/beta": "E"}
    short = np.array([4, 3], "int32")
    return Flow(
        lambda: Transformer(
            3,
            2,
            use_layer_norm=True,
            output_type="masked_mean",
            name="layer",
        ),
        {**DIMS, "S": 4, "h": 2, "d": 3},
        (
            Box("nq", (0, 0), "query lengths", "B", value=short),
            Box("q", (1, 0), "queries", "B S E"),
            Box("k", (2, 0), "keys", "B T E"),
            Box("n", (3, 0), "key lengths", "B", value=LENGTHS),
            Box(
                "mq",
                (0, 1),
                "queries that count",
                "B S",
                "nq ~q",
                lengths_to_mask,
            ),
            Box("m", (3, 1), "keys that count", "B T", "n ~k", lengths_to_mask),
            Box(
                "q0",
                (1, 1.4),
                "padding set to 0",
                "B S E",
                "q mq",
                zero_padding,
            ),
            Box(
                "k0", (2, 1.4), "padding set to 0", "B T E", "k m", zero_padding
            ),
            Box(
                "qp",
                (1, 2.4),
                "plus $\\sqrt{E}\\,p_t$",
                "B S E",
                "q0",
                add_positions,
                {"query_positions/lookup_table": "S E"},
            ),
            Box(
                "kp",
                (2, 2.4),
                "plus $\\sqrt{E}\\,p_t$",
                "B T E",
                "k0",
                add_positions,
                {"key_positions/lookup_table": "T E"},
            ),
            Box(
                "Q",
                (1, 3.4),
                "$q\\,W_q$, cut into heads",
                "B h S d",
                "qp",
                heads,
                {"query": "E E"},
            ),
            Box(
                "K",
                (2, 3.4),
                "$k\\,W_k$, cut into heads",
                "B h T d",
                "kp",
                heads,
                {"key": "E E"},
            ),
            Box(
                "V",
                (3, 3.4),
                "$k\\,W_v$, cut into heads",
                "B h T d",
                "kp",
                heads,
                {"value": "E E"},
            ),
            Box(
                "A",
                (1.5, 4.4),
                "softmax of $q \\cdot k / \\sqrt{d}$\n"
                "over the keys that count\n"
                "(blinding: but its own step)",
                "B h S T",
                "Q K m ~mq",
                weights,
                lanes={"m": 2.51},
            ),
            Box(
                "found",
                (2, 5.4),
                "$A\\,V$, heads joined",
                "B S E",
                "A V",
                found,
            ),
            Box(
                "res",
                (1, 6.4),
                "their sum, normalised",
                "B S E",
                "qp found",
                add_and_normalise,
                norm,
                lanes={"qp": 0.5},
            ),
            Box(
                "ff",
                (2, 7.4),
                "$\\mathrm{ReLU}(a\\,F_1)\\,F_2$",
                "B S E",
                "res",
                lambda x, f1, f2: linear(ops.relu(linear(x, f1)), f2),
                {"fw1": "E 4E", "fw2": "4E E"},
            ),
            Box(
                "res2",
                (1, 8.4),
                "their sum, normalised\nby the same weights",
                "B S E",
                "res ff",
                add_and_normalise,
                norm,
                lanes={"res": 0.5},
            ),
            Box(
                "y",
                (0.5, 9.4),
                "output_type: here the mean\nof the queries that count",
                "B 1 E",
                "mq res2",
                lambda m, x: masked_mean(x, m)[:, None],
            ),
        ),
        "q k nq n",
    )


def position_encoding():
    return Flow(
        lambda: PositionEncoding(max_steps=8, name="layer"),
        {**DIMS, "M": 8},
        (
            X,
            Box(
                "p",
                (1, 0),
                "$\\sqrt{E}\\,p_t$, the first $T$ rows",
                "T E",
                "~x",
                lambda x, table: 6**0.5 * table[: x.shape[1]],
                {"lookup_table": "M E"},
            ),
            Box(
                "y",
                (0.5, 1),
                "$y_{bt} = x_{bt} + \\sqrt{E}\\,p_t$",
                "B T E",
                "x p",
                lambda x, p: x + p,
            ),
        ),
        "x",
    )


def bias_encoding():
    def add(i):
        return lambda x, bias: x + bias[i]

    y = "$x_s + w_s + w_t + w_i$"
    return Flow(
        lambda: BiasEncoding(3, name="layer"),
        {**DIMS, "S": 3},
        (
            Box("x1", (0, 0), "session 1", "B T E"),
            Box("x2", (1, 0), "session 2", "B T E"),
            Box("x3", (2, 0), "session 3", "B T E"),
            Box(
                "w",
                (1, 1),
                "$w_s + w_t + w_i$",
                "S T E",
                "",
                lambda s, t, i: s + t + i,
                {
                    "sess_bias_embedding": "S 1 1",
                    "seq_bias_embedding": "1 T 1",
                    "item_bias_embedding": "1 1 E",
                },
            ),
            Box("y1", (0, 2), y, "B T E", "x1 w", add(0)),
            Box("y2", (1, 2), y, "B T E", "x2 w", add(1), lanes={"x2": 1.5}),
            Box("y3", (2, 2), y, "B T E", "x3 w", add(2)),
        ),
        "x1 x2 x3",
        {
            "y1": lambda layer, v: layer([v["x1"], v["x2"], v["x3"]])[0],
            "y2": lambda layer, v: layer([v["x1"], v["x2"], v["x3"]])[1],
            "y3": lambda layer, v: layer([v["x1"], v["x2"], v["x3"]])[2],
        },
    )


def local_activation_unit():
    return Flow(
        lambda: LocalActivationUnit((8, 4), name="layer"),
        {**DIMS, "K": 3, "H": 8, "G": 4},
        (
            Box("q", (0, 0), "candidates $q$", "B K E"),
            Box("x", (1, 0), "steps $x$", "B T E"),
            Box(
                "h",
                (0.5, 1),
                SCORED,
                "B K T H",
                "q x",
                din_hidden,
                {"dnn/kernel0": "4E H", "dnn/bias0": "H"},
            ),
            Box(
                "s",
                (0.5, 2),
                REST,
                "B K T",
                "h",
                _rest,
                {
                    "dnn/kernel1": "H G",
                    "dnn/bias1": "G",
                    "kernel": "G 1",
                    "bias": "1",
                },
            ),
            Box(
                "y",
                (0.5, 3),
                "scores $s$, steps first",
                "B T K",
                "s",
                lambda s: ops.transpose(s, (0, 2, 1)),
            ),
        ),
        "q x",
    )


def dice():
    return Flow(
        lambda: Dice(name="layer"),
        {"B": 2, "E": 6},
        (
            Box("x", (0, 0), "features $x$", "B E"),
            Box(
                "p",
                (1, 1),
                "$p = \\sigma((x - \\mu)\\,/\\sqrt{\\sigma^2 + \\epsilon})$",
                "B E",
                "x",
                lambda x, mean, variance: ops.sigmoid(
                    (x - mean) / ops.sqrt(variance + 1e-9)
                ),
                {
                    "batch_normalization/moving_mean": "E",
                    "batch_normalization/moving_variance": "E",
                },
            ),
            Box(
                "y",
                (0, 2),
                "$y = p\\,x + (1 - p)\\,\\alpha\\,x$",
                "B E",
                "x p",
                lambda x, p, alpha: p * x + (1 - p) * alpha * x,
                {"dice_alpha": "E"},
            ),
        ),
        "x",
    )


def dnn():
    return Flow(
        lambda: DNN((8, 4), use_bn=True, name="layer"),
        {"B": 2, "E": 6, "H": 8, "G": 4},
        (
            Box("x", (0, 0), "features", "B E"),
            *(
                box
                for i, of, dim, units in (
                    (0, "x", "E", "H"),
                    (1, "y0", "H", "G"),
                )
                for box in (
                    Box(
                        f"z{i}",
                        (1, i),
                        f"$x\\,W_{i} + b_{i}$",
                        f"B {units}",
                        of,
                        linear,
                        {f"kernel{i}": f"{dim} {units}", f"bias{i}": units},
                    ),
                    Box(
                        f"y{i}",
                        (2, i),
                        "use_bn: normalised\nactivation, dropout",
                        f"B {units}",
                        f"z{i}",
                        lambda x, gamma, beta, mean, variance: ops.relu(
                            gamma * (x - mean) / ops.sqrt(variance + 1e-3)
                            + beta
                        ),
                        {
                            f"batch_normalization{i}/{w}": units
                            for w in (
                                "gamma",
                                "beta",
                                "moving_mean",
                                "moving_variance",
                            )
                        },
                    ),
                )
            ),
        ),
        "x",
    )


def prediction_layer():
    return Flow(
        lambda: PredictionLayer(name="layer"),
        {"B": 2},
        (
            Box("x", (0, 0), "logits $x$", "B 1"),
            Box(
                "z",
                (1, 0),
                "$x + b$\n'regression' ends here",
                "B 1",
                "x",
                lambda x, bias: x + bias,
                {"global_bias": "1"},
            ),
            Box(
                "y",
                (2, 0),
                "'binary': $\\sigma(x + b)$",
                "B 1",
                "z",
                ops.sigmoid,
            ),
        ),
        "x",
    )


def auxiliary_loss():
    def logits(states, clicks, k0, k1, k2, b0, b1, b2):
        pairs = ops.concatenate([states[:, :-1], clicks[:, 1:]], -1)
        h = ops.sigmoid(linear(pairs, k0, b0))
        h = ops.sigmoid(linear(h, k1, b1))
        return linear(h, k2, b2)[..., 0]

    def loss(of_clicks, of_negatives, m):
        each = ops.softplus(-of_clicks) + ops.softplus(of_negatives)
        return ops.sum(ops.where(m, each, 0.0)) / ops.sum(
            ops.cast(m, "float32")
        )

    def losses(layer, v):
        layer([v["h"], v["x"], v["z"], v["n"]])
        return layer.losses[0]

    weights = {
        "dnn/kernel0": "E+U H",
        "dnn/kernel1": "H G",
        "dnn/kernel2": "G 1",
        "dnn/bias0": "H",
        "dnn/bias1": "G",
        "dnn/bias2": "1",
    }
    score = "DNN of $[h_t,\\ {}_{{t+1}}]$"
    return Flow(
        lambda: AuxiliaryLoss(hidden_units=(8, 3), name="layer"),
        {**DIMS, "U": 4, "H": 8, "G": 3},
        (
            Box("z", (0, 0), "not clicked instead $z$", "B T E"),
            Box("h", (1, 0), "states $h$", "B T U"),
            Box("x", (2, 0), "clicks $x$", "B T E"),
            lengths(3),
            Box(
                "m",
                (3, 1),
                "steps with a next one\n$[\\,t + 1 < n_b\\,]$",
                "B T-1",
                "n ~x",
                lambda n, x: lengths_to_mask(n, x)[:, 1:],
            ),
            Box(
                "lz",
                (0.5, 2),
                score.format("z"),
                "B T-1",
                "z h",
                lambda z, h, *w: logits(h, z, *w),
                weights,
            ),
            Box(
                "lx",
                (1.5, 2),
                f"{score.format('x')},\nthe same weights",
                "B T-1",
                "h x",
                logits,
                weights,
            ),
            Box(
                "loss",
                (2.4, 3),
                "$L$: its mean over the steps\nwith a next one",
                "",
                "lz lx m",
                lambda lz, lx, m: loss(lx, lz, m),
            ),
            Box(
                "y",
                (1, 4),
                "the states, unchanged",
                "B T U",
                "h",
                lambda h: ops.convert_to_tensor(h),
            ),
        ),
        "h x z n",
        {
            "loss": losses,
            "y": lambda layer, v: layer([v["h"], v["x"], v["z"], v["n"]]),
        },
    )


def batch_normalization():
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], bool)

    def statistic(i):
        return lambda x, m: moments(x, (0, 1), m[..., None])[i][0, 0]

    def follow(batch, moving):
        return 0.99 * moving + 0.01 * batch

    def train(layer, v):
        return layer(v["x"], mask=v["m"], training=True)

    def after(name):
        # What "y" was asked for moved them.
        return lambda layer, v: getattr(layer, name)

    return Flow(
        lambda: BatchNormalization(name="layer"),
        DIMS,
        (
            X,
            Box("m", (1, 0), "mask $m$", "B T", value=mask),
            Box("x0", (0, 1), ZEROS, "B T E", "x m", zero_padding),
            Box(
                "mean",
                (1, 2),
                "the batch's $\\mu$\nover what counts",
                "E",
                "x0 ~m",
                statistic(0),
            ),
            Box(
                "variance",
                (2, 2),
                "the batch's $\\sigma^2$\nover what counts",
                "E",
                "x0 ~m",
                statistic(1),
            ),
            Box(
                "y",
                (0, 3),
                NORMALISED,
                "B T E",
                "x0 mean variance",
                lambda x, mean, variance, gamma, beta: (
                    gamma * (x - mean) / ops.sqrt(variance + 1e-3) + beta
                ),
                {"gamma": "E", "beta": "E"},
            ),
            Box(
                "moving_mean",
                (1, 4),
                "$0.99\\,\\mu_{\\mathrm{old}} + 0.01\\,\\mu$",
                "E",
                "mean",
                follow,
                {"moving_mean": "E"},
            ),
            Box(
                "moving_variance",
                (2, 4),
                "$0.99\\,\\sigma^2_{\\mathrm{old}} + 0.01\\,\\sigma^2$",
                "E",
                "variance",
                follow,
                {"moving_variance": "E"},
            ),
        ),
        "x",
        {
            "y": train,
            "moving_mean": after("moving_mean"),
            "moving_variance": after("moving_variance"),
        },
    )


def layer_normalization():
    return Flow(
        lambda: LayerNormalization(name="layer"),
        DIMS,
        (
            X,
            Box(
                "mean",
                (1, 0),
                "$\\mu$ of each step",
                "B T 1",
                "x",
                lambda x: ops.mean(x, -1, keepdims=True),
            ),
            Box(
                "variance",
                (2, 0),
                "$\\sigma^2$ of each step",
                "B T 1",
                "~x mean",
                lambda x, mean: ops.mean((x - mean) ** 2, -1, keepdims=True),
            ),
            Box(
                "y",
                (1, 1),
                NORMALISED,
                "B T E",
                "x mean variance",
                lambda x, mean, variance, gamma, beta: (
                    gamma * (x - mean) / ops.sqrt(variance + 1e-9) + beta
                ),
                {"gamma": "E", "beta": "E"},
            ),
        ),
        "x",
    )


# By the name of the layer's page.
FLOWS = {
    make.__name__: make
    for make in (
        attention_sequence_pooling_layer,
        bias_encoding,
        bilstm,
        dynamic_gru,
        k_max_pooling,
        position_encoding,
        sequence_pooling_layer,
        transformer,
        weighted_sequence_layer,
        local_activation_unit,
        dice,
        dnn,
        prediction_layer,
        auxiliary_loss,
        batch_normalization,
        layer_normalization,
    )
}
