"""Names in records do not depend on what a process computed before."""

import keras
import numpy as np
import pytest

from kseq.agreement import Computation, measure

pytestmark = pytest.mark.once


class Unnamed(keras.layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],))
        self.calls = self.add_weight(shape=(), trainable=False)

    def call(self, x):
        return x * self.scale


def test_weights_have_the_same_names_in_every_computation():
    computation = Computation(Unnamed(), [np.ones((2, 3))])
    names = [
        (
            [*measure(computation, policy, "forward").values],
            [*measure(computation, policy, "gradients").values],
        )
        for policy in ("float64", "float32")
    ]
    assert names[0] == names[1]
    assert names[0][1] == ["x", "weight 0 variable"]
