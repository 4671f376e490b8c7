import numpy as np
import pytest

from kseq.layers.sequence import DynamicGRU
from tests.layers.catalog import BY_NAME, draw32
from tests.support import to_numpy

pytestmark = pytest.mark.once

TRIAL, GRU, _ = BY_NAME["gru-mask-state-mask"].computed()
(X,) = TRIAL.features.values()
LENGTHS = TRIAL.lengths["lengths"]


@pytest.mark.parametrize("gru_type", ["AIGRU", "AGRU", "AUGRU"])
@pytest.mark.parametrize("return_sequence", [True, False])
def test_several_candidates_equal_each_alone(gru_type, return_sequence):
    scores, start = draw32("scores", 4, 5, 6), draw32("h", 4, 2)
    layer = DynamicGRU(2, gru_type, return_sequence, augru_form="paper")
    options = {"lengths": LENGTHS, "initial_state": start}
    together = to_numpy(layer(X, scores, **options))
    axis = 2 if return_sequence else 1
    for k in range(5):
        alone = to_numpy(layer(X, scores[:, k : k + 1], **options))
        one = np.take(together, [k], axis)
        if return_sequence:
            one = one[:, :, 0]
        np.testing.assert_allclose(one, alone, atol=1e-6)
