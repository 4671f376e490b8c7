"""The cases that every backend computes, with their float64 references.

Shapes have batch != steps != dim, rows are full, short, of one step and empty.
"""

import keras
import numpy as np

from kseq.agreement import Case
from kseq.agreement.tables import DTYPES
from kseq.layers.core import (
    DNN,
    BatchNormalization,
    Dice,
    LocalActivationUnit,
)
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    KMaxPooling,
    SequencePoolingLayer,
    WeightedSequenceLayer,
)
from tests.reference import attention as ref_attention
from tests.reference import pooling as ref_pooling
from tests.reference.masks import mask_of, select

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


CASES = [
    *pooling_cases(),
    *weighted_cases(),
    *k_max_cases(),
    *attention_cases(),
    *core_cases(),
]
