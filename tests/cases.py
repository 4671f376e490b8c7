"""The cases that every backend computes, with their float64 references.

Shapes have batch != steps != dim, rows are full, short, of one step and empty.
"""

import keras
import numpy as np

from kseq.agreement import Case
from kseq.agreement.tables import DTYPES, KINDS
from kseq.layers.core import (
    DNN,
    BatchNormalization,
    Dice,
    LocalActivationUnit,
)
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiasEncoding,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from kseq.ops import multi_head_attention
from tests.reference import attention as ref_attention
from tests.reference import pooling as ref_pooling
from tests.reference import recurrence as ref_recurrence
from tests.reference import transformer as ref_transformer
from tests.reference.masks import mask_of, select, softmax

BATCH, STEPS, DIM = 4, 6, 3
LENGTHS = np.array([[6], [3], [1], [0]], "int32")
# Not a prefix, a prefix, one step, none.
MASK = np.array(
    [
        [1, 0, 1, 1, 0, 1],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    bool,
)


# Of a layer's many settings a few are compiled and trained as well; each costs
# minutes on some backend.
VARIANT = ("forward", "gradients")


def draw(name, *shape):
    """Normal numbers that depend on a name alone."""
    seed = list(name.encode())
    return np.random.default_rng(seed).normal(size=shape)


X = draw("x", BATCH, STEPS, DIM)
WEIGHTS = draw("weights", BATCH, STEPS, 1)
WIDE_KEYS = draw("wide keys", BATCH, 3, 5)  # steps < dim: the "split" form


def queries(candidates, dim=DIM):
    return draw("query", BATCH, candidates, dim)


def pooling_cases():
    for mode in ("sum", "mean", "max"):
        yield Case(
            f"pooling-{mode}-lengths",
            lambda mode=mode: (SequencePoolingLayer(mode), [X, LENGTHS]),
            lambda inputs, _, mode=mode: ref_pooling.pool(
                inputs[0], mask_of(X, lengths=LENGTHS), mode
            ),
            DTYPES,
        )
        yield Case(
            f"pooling-{mode}-mask",
            lambda mode=mode: (
                SequencePoolingLayer(mode, supports_masking=True),
                X,
                {"mask": MASK},
            ),
            lambda inputs, _, mode=mode: ref_pooling.pool(
                inputs[0], MASK, mode
            ),
            DTYPES,
        )


def weighted_cases():
    for normalize in (True, False):
        name = "softmax" if normalize else "plain"
        yield Case(
            f"weighted-{name}-lengths",
            lambda normalize=normalize: (
                WeightedSequenceLayer(normalize),
                [X, LENGTHS, WEIGHTS],
            ),
            lambda inputs, _, normalize=normalize: ref_pooling.weighted(
                inputs[0], inputs[2], mask_of(X, lengths=LENGTHS), normalize
            ),
            DTYPES,
        )
        yield Case(
            f"weighted-{name}-mask-flat",
            lambda normalize=normalize: (
                WeightedSequenceLayer(normalize, supports_masking=True),
                [X, WEIGHTS[..., 0]],
                {"mask": MASK},
            ),
            lambda inputs, _, normalize=normalize: ref_pooling.weighted(
                inputs[0], inputs[1], MASK, normalize
            ),
            DTYPES,
        )


def k_max_cases():
    many = draw("many", BATCH, STEPS, 2, DIM)
    yield Case(
        "k-max-steps-lengths",
        lambda: (KMaxPooling(k=2), [X, LENGTHS]),
        lambda inputs, _: ref_pooling.k_max(
            inputs[0], 2, 1, mask_of(X, lengths=LENGTHS)
        ),
        DTYPES,
    )
    yield Case(
        "k-max-dim-mask",
        lambda: (KMaxPooling(k=2, axis=2), X, {"mask": MASK}),
        lambda inputs, _: ref_pooling.k_max(inputs[0], 2, 2, MASK),
        DTYPES,
    )
    yield Case(
        "k-max-rank-4",
        lambda: (KMaxPooling(k=3, axis=-3), many),
        lambda inputs, _: ref_pooling.k_max(inputs[0], 3, 1),
        DTYPES,
    )


def attention_case(name, keys=X, candidates=1, mask=None, **options):
    """An attention case; `options` are the layer's, and `training`."""
    lengths = np.minimum(LENGTHS, keys.shape[1])
    training = options.pop("training", False)
    kwargs = {"training": training}
    if options.pop("both", False):
        kwargs["return_attention_scores"] = True
    if mask is not None:
        kwargs["mask"] = mask
        options["supports_masking"] = True
    query = queries(candidates, keys.shape[-1])
    inputs = [query, keys] if mask is not None else [query, keys, lengths]
    activation = options.get("att_activation", "sigmoid")
    hidden = options.get("att_hidden_units", (5, 4))

    def build():
        layer = AttentionSequencePoolingLayer(
            **{"att_hidden_units": (5, 4), **options}
        )
        return layer, inputs, kwargs

    def reference(inputs, weights):
        valid = mask_of(keys, mask, lengths if mask is None else None)
        output, scores = ref_attention.attention_pooling(
            inputs[0],
            inputs[1],
            valid,
            # Keras puts a layer's own weights before its sublayers'.
            weights,
            normalize=options.get("weight_normalization", False),
            activation="prelu"
            if not isinstance(activation, str)
            else activation,
            hidden=len(hidden),
            training=training,
        )
        if "return_attention_scores" in kwargs:
            return output, scores
        return scores if options.get("return_score") else output

    return Case(f"attention-{name}", build, reference, DTYPES)


def attention_cases():
    prelu = keras.layers.PReLU
    yield attention_case("sigmoid")
    yield attention_case("sigmoid-split", keys=WIDE_KEYS)
    yield attention_case(
        "softmax-split", keys=WIDE_KEYS, weight_normalization=True
    )
    yield attention_case("relu-mask", mask=MASK, att_activation="relu")
    yield attention_case("tanh", att_activation="tanh")
    yield attention_case("softmax", weight_normalization=True)
    yield attention_case("score", return_score=True)
    yield attention_case(
        "softmax-score-mask",
        mask=MASK,
        weight_normalization=True,
        return_score=True,
    )
    yield attention_case("candidates", candidates=2, both=True)
    yield attention_case(
        "candidates-split", keys=WIDE_KEYS, candidates=2, both=True
    )
    yield attention_case("dice", att_activation="dice")
    yield attention_case("dice-training", att_activation="dice", training=True)
    yield attention_case(
        "dice-training-candidates",
        candidates=2,
        att_activation="dice",
        training=True,
        mask=MASK,
    )
    yield attention_case("prelu", att_activation=prelu, candidates=2)
    yield attention_case("one-layer", att_hidden_units=(4,))
    yield attention_case("no-layer", att_hidden_units=())


def core_cases():
    def dice_reference(inputs, weights, training):
        x = select(MASK[..., None], inputs[0])
        alpha, mean, variance = weights
        if training:
            mean, variance = ref_attention.statistics(x, MASK)
        return ref_attention.dice(x, alpha, mean, variance)

    for training in (False, True):
        name = "training" if training else "inference"
        yield Case(
            f"dice-{name}-mask",
            lambda training=training: (
                Dice(),
                X,
                {"mask": MASK, "training": training},
            ),
            lambda inputs, weights, training=training: dice_reference(
                inputs, weights, training
            ),
            DTYPES,
        )

    def normalized(inputs, weights):
        x = select(MASK[..., None], inputs[0])
        gamma, beta, _, _ = weights
        mean, variance = ref_attention.statistics(x, MASK)
        return gamma * ref_attention.normalize(x, mean, variance, 1e-3) + beta

    yield Case(
        "batch-normalization-training-mask",
        lambda: (BatchNormalization(), X, {"mask": MASK, "training": True}),
        normalized,
        DTYPES,
    )

    def dnn(inputs, weights):
        k0, k1, b0, b1 = weights
        hidden = ref_attention.relu(inputs[0] @ k0 + b0)
        return ref_attention.sigmoid(hidden @ k1 + b1)

    yield Case(
        "dnn",
        lambda: (DNN((5, 4), "relu", output_activation="sigmoid"), X),
        dnn,
        DTYPES,
    )

    def unit(inputs, weights):
        scores = ref_attention.scores(
            inputs[0], inputs[1], None, weights, "sigmoid"
        )
        return np.swapaxes(scores, 1, 2)

    yield Case(
        "local-activation-unit",
        lambda: (LocalActivationUnit((5, 4)), [queries(2), X]),
        unit,
        DTYPES,
    )


def gru_cases():
    scores = 1 / (1 + np.exp(-draw("scores", BATCH, STEPS, 1)))

    def gru(name, valid, masked=False, kinds=VARIANT, **options):
        attended = options.get("gru_type", "GRU") in ("AGRU", "AUGRU")
        arrays = [X] if masked else [X, LENGTHS]
        arrays += [scores] if attended else []
        kwargs = {}
        if masked:
            kwargs["mask"] = [MASK, None] if attended else MASK

        def reference(inputs, weights):
            outputs, state = ref_recurrence.gru(
                inputs[0],
                valid,
                weights,
                inputs[-1][..., 0] if attended else None,
                options.get("gru_type", "GRU"),
                options.get("augru_form", "deepctr"),
            )
            if not options.get("return_sequence", True):
                outputs = state[:, None]
            return (outputs, state) if "return_state" in options else outputs

        return Case(
            f"gru-{name}",
            lambda: (
                DynamicGRU(**options),
                arrays if len(arrays) > 1 else X,
                kwargs,
            ),
            reference,
            DTYPES,
            kinds,
        )

    prefix = mask_of(X, lengths=LENGTHS)
    yield gru("plain", prefix, num_units=4)
    yield gru("last", prefix, return_sequence=False)
    yield gru("mask-state", MASK, True, KINDS, num_units=2, return_state=True)
    yield gru("agru", prefix, num_units=4, gru_type="AGRU")
    yield gru("augru", prefix, kinds=KINDS, num_units=4, gru_type="AUGRU")
    yield gru("augru-mask", MASK, True, gru_type="AUGRU")
    yield gru(
        "augru-paper", prefix, gru_type="AUGRU", augru_form="paper", num_units=2
    )


def bilstm_cases():
    def bilstm(name, masked=False, kinds=VARIANT, **options):
        options = {"layers": 1, "dropout_rate": 0.0, **options}
        valid = MASK if masked else mask_of(X, lengths=LENGTHS)
        return Case(
            f"bilstm-{name}",
            lambda: (
                BiLSTM(**options),
                X if masked else [X, LENGTHS],
                {"mask": MASK} if masked else {},
            ),
            lambda inputs, weights: ref_recurrence.bilstm(
                inputs[0],
                valid,
                weights,
                options["layers"],
                options.get("res_layers", 0),
                options.get("merge_mode", "ave"),
            ),
            DTYPES,
            kinds,
        )

    yield bilstm("ave", units=2)
    yield bilstm("concat-mask", True, units=2, merge_mode="concat")
    yield bilstm("mul", units=4, merge_mode="mul")
    yield bilstm("two-layers", kinds=KINDS, units=2, layers=2, res_layers=1)
    yield bilstm("residual-mask", True, units=3, res_layers=1, merge_mode=None)


def transformer_cases():
    dim = 4
    queries = draw("queries", BATCH, 5, dim)
    keys = draw("keys", BATCH, STEPS, dim)
    query_lengths = np.array([[5], [2], [4], [0]], "int32")
    query_mask = mask_of(queries, lengths=query_lengths[::-1])
    plain = {"use_positional_encoding": False, "att_embedding_size": 2}

    def transformer(name, masked=False, kinds=VARIANT, **options):
        options = {"head_num": 2, **plain, **options}
        valid = MASK if masked else mask_of(keys, lengths=LENGTHS)
        query_valid = (
            query_mask if masked else mask_of(queries, lengths=query_lengths)
        )
        arrays = [queries, keys]
        return Case(
            f"transformer-{name}",
            lambda: (
                Transformer(supports_masking=masked, **options),
                arrays if masked else [*arrays, query_lengths, LENGTHS],
                {"mask": [query_mask, MASK]} if masked else {},
            ),
            lambda inputs, weights: ref_transformer.transformer(
                inputs[0],
                inputs[1],
                query_valid,
                valid,
                weights,
                options["head_num"],
                options.get("attention_type", "scaled_dot_product"),
                options["use_positional_encoding"],
                options.get("use_res", True),
                options.get("use_feed_forward", True),
                options.get("use_layer_norm", False),
                options.get("blinding", True),
                options.get("output_type", "mean"),
            ),
            DTYPES,
            kinds,
        )

    yield transformer("mean")
    yield transformer("masked-mean-mask", True, output_type="masked_mean")
    yield transformer(
        "positions",
        kinds=KINDS,
        use_positional_encoding=True,
        output_type="masked_mean",
    )
    yield transformer(
        "layer-norm-mask",
        True,
        KINDS,
        use_layer_norm=True,
        blinding=False,
        output_type=None,
    )
    for kind, output_type in (
        ("cos", "masked_sum"),
        ("ln", None),
        ("additive", "sum"),
    ):
        yield transformer(
            kind,
            attention_type=kind,
            use_feed_forward=False,
            use_res=False,
            output_type=output_type,
        )


def grouped_attention_cases():
    """Few enough scores at once that queries are taken in groups of two."""
    heads, dim = 2, 3
    queries = draw("queries of heads", BATCH, heads, 5, dim)
    keys = draw("keys of heads", BATCH, heads, STEPS, dim)
    values = draw("values of heads", BATCH, heads, STEPS, dim)
    vectors = draw("vectors", 2, dim)

    def grouped(kind, blinding, most_scores, *weights):
        def attend(inputs):
            query, keys, values, *weights = inputs
            return multi_head_attention(
                query,
                keys,
                values,
                MASK,
                kind,
                tuple(weights),
                blinding=blinding,
                most_scores=most_scores,
            )

        allowed = np.repeat(MASK[:, None], queries.shape[2], axis=1)
        if blinding:
            allowed = allowed & ~np.eye(*allowed.shape[1:], dtype=bool)

        def reference(inputs, _):
            query, keys, values, *weights = inputs
            found = [
                softmax(
                    ref_transformer.scores(
                        query[:, h], keys[:, h], kind, weights
                    ),
                    allowed,
                )
                @ values[:, h]
                for h in range(heads)
            ]
            return np.stack(found, axis=1)

        return Case(
            f"attention-groups-{kind}",
            lambda: (attend, [queries, keys, values, *weights]),
            reference,
            DTYPES,
            kinds=KINDS[:-1],  # a function of tensors alone: nothing to fit
        )

    yield grouped("scaled_dot_product", True, 4 * STEPS)
    yield grouped("additive", False, 4 * STEPS * dim, *vectors)


def encoding_cases():
    for name, options in (
        ("trained", {}),
        (
            "zero-pad-fixed",
            {"zero_pad": True, "pos_embedding_trainable": False},
        ),
        ("longer-table", {"max_steps": 9, "scale": False}),
    ):
        scale = DIM**0.5 if options.get("scale", True) else 1.0
        yield Case(
            f"positions-{name}",
            lambda options=options: (PositionEncoding(**options), X),
            lambda inputs, weights, scale=scale: (
                inputs[0] + scale * weights[0][:STEPS]
            ),
            DTYPES,
            KINDS if name == "trained" else VARIANT,
        )
    sessions = [X, X[:, ::-1][:, :4]]
    yield Case(
        "bias-encoding",
        lambda: (BiasEncoding(2), sessions),
        lambda inputs, weights: [
            x + weights[2] + weights[1][:, : x.shape[1]] + weights[0][i]
            for i, x in enumerate(inputs)
        ],
        DTYPES,
    )


CASES = [
    *pooling_cases(),
    *weighted_cases(),
    *k_max_cases(),
    *attention_cases(),
    *core_cases(),
    *gru_cases(),
    *bilstm_cases(),
    *transformer_cases(),
    *grouped_attention_cases(),
    *encoding_cases(),
]
