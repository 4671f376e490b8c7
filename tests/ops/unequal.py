"""Sequences of different lengths, and what is computed of them in buckets."""

import numpy as np
import pytest
from keras import ops

from kseq.layers import AttentionSequencePoolingLayer, Transformer
from kseq.ops import masked_mean, masked_sum, zero_padding
from kseq.ops.backends import map_buckets

RNG = np.random.default_rng(7)
X = RNG.normal(size=(6, 5, 4))
OTHER = RNG.normal(size=(6, 3, 4))
QUERY = RNG.normal(size=(6, 2, 4))
# Full, one step, empty, with a hole, padded in front, short.
MASK = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 1, 0, 0],
    ],
    bool,
)
OTHER_MASK = MASK[::-1, :3].copy()
# The arguments of map_buckets: examples, sequences and their masks.
ARRAYS = QUERY[:, 0], X, OTHER, MASK, OTHER_MASK


def pooled(example, x, other, valid, other_valid):
    return masked_sum(x, valid) * example + masked_mean(other, other_valid)


def stepwise(example, x, other, valid, other_valid):
    row = masked_sum(other, other_valid) * example
    return zero_padding(x, valid) * row[:, None]


each_function = pytest.mark.parametrize(
    ("function", "sequence"), [(pooled, False), (stepwise, True)]
)


def in_buckets(function, sequence, tensors, training=True):
    """The output, and the arguments of each call of the function."""
    calls = []

    def counted(*parts):
        calls.append(parts)
        return function(*parts)

    example, x, other, *valid = tensors
    output = map_buckets(
        counted,
        (example,),
        (x, other),
        valid,
        elements_per_step=1,
        training=training,
        returns_sequence=sequence,
    )
    return output, calls


def assert_close(got, expected, tolerance=1e-12):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(one),
            ops.convert_to_numpy(other),
            rtol=tolerance,
            atol=tolerance,
        )


# Layers that compute in buckets, their inputs and masks.
LAYERS = {
    "din": (
        AttentionSequencePoolingLayer,
        {"att_hidden_units": (3, 2), "weight_normalization": True},
        [QUERY, X],
        [None, MASK],
    ),
    "transformer": (
        Transformer,
        {"att_embedding_size": 2, "head_num": 2, "output_type": None},
        [OTHER, X],
        [OTHER_MASK, MASK],
    ),
    "transformer-additive": (
        Transformer,
        {
            "att_embedding_size": 2,
            "head_num": 2,
            "blinding": True,
            "attention_type": "additive",
            "output_type": "masked_mean",
            "max_steps": 5,
        },
        [X, X],
        [MASK, MASK],
    ),
}
