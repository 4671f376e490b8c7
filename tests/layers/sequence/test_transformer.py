import keras
import numpy as np
import pytest

from kseq.layers.sequence import Transformer
from tests.layers.catalog import BY_NAME
from tests.reference.transformer import visible
from tests.support import assert_close, to_numpy

pytestmark = pytest.mark.once

TRIAL = BY_NAME["transformer-mean"].trial()
# Of the second row only one key is valid, of the last one none.
KEY_LENGTHS = np.array([6, 1, 4, 0], "int32")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    "attention_type", ["scaled_dot_product", "cos", "ln", "additive"]
)
def test_a_query_without_a_key_gets_zeros(attention_type, dtype):
    layer = TRIAL.built(
        attention_type=attention_type,
        use_res=False,
        output_type=None,
        dropout_rate=0.5,
        dtype=dtype,
    )
    lengths = {"query_lengths": KEY_LENGTHS | 5, "key_lengths": KEY_LENGTHS}
    for training in (False, True):
        out = layer(**TRIAL.features, **lengths, training=training)
        out = to_numpy(keras.ops.cast(out, "float32"))
        assert np.all(np.isfinite(out))
        assert np.all(out[3] == 0)
        assert np.all(out[1, 0] == 0)  # its own step alone, blinded
        assert np.any(out[1, 1] != 0) or training
        assert np.any(out[0] != 0)


@pytest.mark.parametrize("attention_type", ["scaled_dot_product", "additive"])
def test_which_keys_a_query_attends_to(attention_type):
    """Causal, as a mask, and as a bias, which is no number here."""
    options = {"attention_type": attention_type, "output_type": None}
    layer = TRIAL.built(blinding=False, **options)
    queries, keys = TRIAL.features.values()
    lengths = {"query_lengths": KEY_LENGTHS, "key_lengths": KEY_LENGTHS}
    shape = (len(keys), queries.shape[1], keys.shape[1])
    seen = np.broadcast_to(visible(*shape[1:], causal=True), shape)

    def call(**which):
        return to_numpy(layer(queries, keys, **lengths, **which))

    causal = call(use_causal_mask=True)
    assert np.abs(causal - call()).max() > 1e-3
    assert_close(call(attention_mask=seen), causal)
    bias = np.where(seen, 0.0, -1e9)[:, None].astype("float32")
    # Where a query sees a key at all.
    some = (seen & (np.arange(shape[2]) < KEY_LENGTHS[:, None, None])).any(-1)
    assert_close(call(attention_bias=bias)[some], causal[some])
    changed = keys.copy()
    changed[:, 3:] += 1.0
    later = to_numpy(layer(queries, changed, **lengths, use_causal_mask=True))
    assert_close(later[:, :3], causal[:, :3])


def test_ln_of_a_single_number_warns():
    with pytest.warns(UserWarning, match="gives uniform attention"):
        Transformer(1, 8, attention_type="ln")


def test_without_a_residual_there_is_no_feed_forward_network():
    layer = TRIAL.built(use_res=False)
    assert not any("fw" in weight.name for weight in layer.weights)
    assert layer.unused_deepctr_weights == {"fw1": 3, "fw2": 4}
