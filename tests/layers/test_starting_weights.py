"""What weights are before training: DeepCTR's constants, or drawn."""

import re

import numpy as np
import pytest

from tests.arrays import to_numpy
from tests.layers.examples import EXAMPLES, names

CONSTANTS = {
    1.0: r"gamma|moving_variance|gates_bias|(forward|backward)\d_bias",
    0.0: r"beta|moving_mean|(dice_)?alpha|bias\d?|(candidate|global)_bias",
}
DRAWN = (
    r"(candidate_|gates_|(for|back)ward\d_(recurrent_)?)?kernel\d?|lookup_table"
    r"|(sess|seq|item)_bias_embedding|query|key|value|fw[12]|b|v"
)


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_weights_start_as_deepctr_s(example):
    layer = example.make()
    layer(example.inputs(), **example.options())
    for weight in layer.weights:
        value = to_numpy(weight.value)
        if re.fullmatch(DRAWN, weight.name):
            assert value.size < 2 or value.min() < value.max(), weight.path
            continue
        (constant,) = (
            c
            for c, said in CONSTANTS.items()
            if re.fullmatch(said, weight.name)
        )
        np.testing.assert_array_equal(value, constant, weight.path)
