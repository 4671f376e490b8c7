"""The ops in a model that does not know the number of steps."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq import ops as kops
from tests.ops.compute import X as WHOLE
from tests.ops.compute import draw
from tests.reference import pooling as reference
from tests.reference.masks import mask_of
from tests.reference.transformer import table

LENGTHS = np.array([5, 3, 1, 0])


class Calls(keras.layers.Layer):
    """A layer of one op."""

    def __init__(self, function, shape):
        super().__init__()
        self.function = function
        self.shape = shape

    def call(self, x, lengths):
        return self.function(x, lengths)

    def compute_output_shape(self, x_shape, lengths_shape):
        return self.shape


def predicted(function, shape, steps):
    """What a model of unknown steps gives of sequences of some."""
    x = keras.Input((None, 3))
    lengths = keras.Input((), dtype="int32")
    model = keras.Model([x, lengths], Calls(function, shape)(x, lengths))
    found = []
    for count in steps:
        given = draw("unknown", 4, count, 3).astype("float32")
        fewer = np.minimum(LENGTHS, count).astype("int32")
        expected = given, mask_of(given[..., 0], lengths=fewer)
        got = model.predict_on_batch([given, fewer])
        found.append((np.asarray(got), *expected))
    return found


def like_x(function):
    """What has no batch gets one: a model's outputs have."""
    return lambda x, lengths: function(x)[None] + 0 * x


CASES = {
    "lengths_to_mask": (
        lambda x, n: ops.cast(kops.lengths_to_mask(n, x), "float32"),
        (None, None),
        lambda x, valid: valid,
    ),
    "resolve_mask": (
        lambda x, n: ops.cast(kops.resolve_mask(x), "float32"),
        (None, None),
        lambda x, valid: np.ones_like(valid),
    ),
    "masked_max": (
        lambda x, n: kops.masked_max(x, kops.lengths_to_mask(n, x)),
        (None, 3),
        lambda x, valid: reference.pool(x, valid, "max")[:, 0],
    ),
    "masked_mean": (
        lambda x, n: kops.masked_mean(x, kops.lengths_to_mask(n, x)),
        (None, 3),
        lambda x, valid: reference.pool(x, valid, "mean")[:, 0],
    ),
    "sinusoid_like": (
        like_x(kops.sinusoid_like),
        (None, None, 3),
        lambda x, valid: np.repeat(table(x.shape[1], 3)[None], 4, axis=0),
    ),
    "first_rows": (
        like_x(lambda x: kops.first_rows(WHOLE[0].astype("float32"), x)),
        (None, None, 3),
        lambda x, valid: np.repeat(WHOLE[:1, : x.shape[1]], 4, axis=0),
    ),
    "k_max": (
        lambda x, n: kops.k_max(x, 2, valid=kops.lengths_to_mask(n, x)),
        (None, 2, 3),
        lambda x, valid: reference.k_max(x, 2, 1, valid),
    ),
    "linear": (
        lambda x, n: kops.linear(x, np.eye(3, dtype="float32") * 2),
        (None, None, 3),
        lambda x, valid: 2 * x,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_any_number_of_steps(name):
    function, shape, expected = CASES[name]
    for got, x, valid in predicted(function, shape, (6, 2)):
        np.testing.assert_allclose(
            got, expected(x, valid), rtol=1e-6, atol=1e-6
        )


def test_any_width():
    x = keras.Input((None, None))
    lengths = keras.Input((), dtype="int32")

    def kept(x, lengths):
        return kops.zero_padding(x, kops.lengths_to_mask(lengths, x))

    calls = Calls(kept, (None, None, None))
    model = keras.Model([x, lengths], calls(x, lengths))
    for width in (3, 1):
        given = draw("unknown", 4, 6, width).astype("float32")
        valid = np.arange(6) < LENGTHS[:, None]
        got = model.predict_on_batch([given, LENGTHS.astype("int32")])
        np.testing.assert_array_equal(
            np.asarray(got), np.where(valid[..., None], given, 0)
        )
