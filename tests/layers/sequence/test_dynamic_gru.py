import numpy as np
import pytest

from kseq.layers.sequence import DynamicGRU
from tests.layers.catalog import BY_NAME, draw32
from tests.support import to_numpy

pytestmark = pytest.mark.once

TRIAL, GRU, _ = BY_NAME["gru-mask-state-mask"].computed()
(X,) = TRIAL.features.values()
LENGTHS = TRIAL.lengths["lengths"]


def test_a_history_in_pieces_has_the_same_states():
    outputs, state = map(to_numpy, GRU(X, lengths=LENGTHS))
    pieces, kept = [], None
    for start in range(0, 6, 2):
        piece, kept = GRU(
            X[:, start : start + 2],
            lengths=np.clip(LENGTHS - start, 0, 2),
            initial_state=kept,
        )
        pieces.append(to_numpy(piece))
    pieces = np.concatenate(pieces, axis=1)
    np.testing.assert_allclose(pieces, outputs, atol=1e-6)
    np.testing.assert_allclose(to_numpy(kept), state, atol=1e-6)


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
