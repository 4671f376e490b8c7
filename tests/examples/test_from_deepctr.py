"""Scripts as for DeepCTR, with kseq's imports and targets `(batch,)`."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from kseq.agreement.tables import left_out

SCRIPTS = sorted(
    (Path(__file__).parents[2] / "examples" / "from_deepctr").glob("*.py")
)
pytestmark = pytest.mark.skipif(
    left_out(keras.backend.backend(), "gradients", "float32") is not None,
    reason=f"{keras.backend.backend()} has no gradients",
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_trains_and_predicts(script):
    done = runpy.run_path(str(script))
    losses = {k: np.array(v) for k, v in done["history"].history.items()}
    for part in ("", "val_"):
        metric = losses[f"{part}binary_crossentropy"]
        assert np.all(np.isfinite(metric))
        # All but the same: there is a penalty on the tables.
        assert np.all(losses[f"{part}loss"] >= metric - 1e-6)
    predicted = done["model"].predict(done["x"], verbose=0)
    assert predicted.shape == (3, 1)
    assert np.all((predicted > 0) & (predicted < 1))
