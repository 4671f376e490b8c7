import functools

import keras
import numpy as np
import pytest

from kseq.agreement import probes
from kseq.agreement.numbers import seed_weights
from kseq.layers.sequence import Transformer, transformer
from kseq.ops import multi_head
from tests.arrays import to_numpy
from tests.layers.catalog import draw32
from tests.layers.checks import assert_close
from tests.ops.compute import needs_gradients

QUERIES, KEYS = draw32("q", 3, 4, 6), draw32("k", 3, 5, 6)
QUERY_LENGTHS = np.array([4, 2, 3], "int32")
KEY_LENGTHS = np.array([5, 1, 0], "int32")
INPUTS = [QUERIES, KEYS, QUERY_LENGTHS, KEY_LENGTHS]
ALONE = {
    "use_positional_encoding": False,
    "use_res": False,
    "use_feed_forward": False,
    "output_type": None,
}
each_type = pytest.mark.parametrize(
    "attention_type", ["scaled_dot_product", "cos", "ln", "additive"]
)


def built(inputs=INPUTS, **options):
    layer = Transformer(3, 2, **options)
    layer.build(*(x.shape for x in inputs[:2]))
    seed_weights(layer)
    return layer


@each_type
@pytest.mark.parametrize("dropout_rate", [0.0, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_query_without_a_key_gets_nothing(
    attention_type, dropout_rate, dtype
):
    layer = built(
        **ALONE,
        attention_type=attention_type,
        dropout_rate=dropout_rate,
        dtype=dtype,
    )
    for training in (False, True):
        out = layer(INPUTS, training=training)
        out = to_numpy(keras.ops.cast(out, "float32"))
        assert np.all(np.isfinite(out))
        assert np.all(out[2] == 0)  # no key at all
        assert np.all(out[1, 0] == 0)  # its own step alone, blinded
        assert np.any(out[1, 1] != 0) or dropout_rate
        assert np.any(out[0] != 0)


@each_type
def test_groups_of_queries_give_the_same(attention_type, monkeypatch):
    """Where time is known, and where only its largest number is."""
    layer = built(**ALONE, attention_type=attention_type, max_steps=9)
    expected = to_numpy(layer(INPUTS))
    in_groups = functools.partial(
        multi_head.multi_head_attention, max_scores=10
    )
    monkeypatch.setattr(transformer, "multi_head_attention", in_groups)
    assert_close(to_numpy(layer(INPUTS)), expected)
    symbols = [keras.Input((None, 6)), keras.Input((None, 6))]
    symbols += [keras.Input((1,), dtype="int32") for _ in range(2)]
    model = keras.Model(symbols, layer(symbols))
    lengths = [n[:, None] for n in (QUERY_LENGTHS, KEY_LENGTHS)]
    assert_close(to_numpy(model([QUERIES, KEYS, *lengths])), expected)


@needs_gradients
@each_type
@pytest.mark.parametrize("output_type", ["mean", "sum", "masked_mean", None])
def test_padding_has_no_part_in_gradients(attention_type, output_type):
    """Of queries too, where nothing else adds them."""
    options = {**ALONE, "output_type": output_type}
    layer = built(**options, attention_type=attention_type)
    found = []
    for filling in (0.0, np.nan):
        arrays = [QUERIES.copy(), KEYS.copy()]
        for x, lengths in zip(arrays, INPUTS[2:], strict=True):
            x[np.arange(x.shape[1]) >= lengths[:, None]] = filling
        inputs = [keras.ops.convert_to_tensor(x) for x in arrays + INPUTS[2:]]
        output = layer(inputs)
        cotangent = keras.ops.ones_like(output)
        of_inputs, of_weights = probes.gradients(
            layer, inputs, {}, [cotangent], compiled=False
        )
        found.append([to_numpy(g) for g in (*of_inputs, *of_weights)])
    for clean, padded in zip(*found, strict=True):
        np.testing.assert_array_equal(padded, clean)


def test_masked_outputs_pool_what_counts():
    sequence = to_numpy(built(output_type=None)(INPUTS))
    total = sequence.sum(axis=1, keepdims=True)
    assert_close(to_numpy(built(output_type="masked_sum")(INPUTS)), total)
    mean = total / QUERY_LENGTHS[:, None, None]
    assert_close(to_numpy(built(output_type="masked_mean")(INPUTS)), mean)


def test_blocks_can_be_stacked_on_a_mask():
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, 6, mask_zero=True)(tokens)
    options = {"output_type": None, "supports_masking": True, "max_steps": 8}
    x = Transformer(3, 2, **options)([x, x])
    x = Transformer(3, 2, **options | {"output_type": "masked_mean"})([x, x])
    assert x.shape == (None, 1, 6)
    model = keras.Model(tokens, x)
    seed_weights(model)
    short = to_numpy(model(np.array([[3, 4, 5]])))
    longer = to_numpy(model(np.array([[3, 4, 5, 0, 0]])))
    assert_close(longer, short)


def test_dropout_keeps_its_rate_and_its_seed():
    def trained(seed):
        layer = Transformer(3, 2, dropout_rate=0.5, seed=seed)
        return to_numpy(layer(INPUTS, training=True))

    np.testing.assert_array_equal(trained(3), trained(3))
    assert np.any(trained(3) != trained(4))
    layer = built(dropout_rate=0.25)
    dropped = to_numpy(layer.dropout(np.ones((300, 300)), training=True))
    assert abs(np.mean(dropped == 0) - 0.25) < 0.01


def test_ln_of_a_single_number_warns():
    with pytest.warns(UserWarning, match="gives uniform attention"):
        Transformer(1, 8, attention_type="ln")


def test_without_a_residual_there_is_no_feed_forward_network():
    layer = built(use_res=False)
    assert not any("fw" in weight.name for weight in layer.weights)
    assert layer.unused_deepctr_weights == {"fw1": 3, "fw2": 4}
