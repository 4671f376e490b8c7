"""What a case gives on this backend."""

import numpy as np
import pytest
from keras import ops

from kseq.agreement import Case, measure
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out

X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("kind", ["gradients", "gradients_compiled"])
def test_an_output_may_depend_on_nothing(kind):
    """As a count or a mask does."""
    skip_left_out(kind)

    def with_a_count(x):
        return 2.0 * x, ops.ones_like(x[:, 0])

    def a_count(x):
        return ops.ones_like(x)

    found = {
        function: to_numpy(
            measure(
                Case("count", lambda function=function: (function, X)),
                "float32",
                kind,
            )["input 0"]
        )
        for function in (with_a_count, a_count)
    }
    assert np.all(found[with_a_count] != 0)
    np.testing.assert_array_equal(found[a_count], np.zeros_like(X))
