"""Named calls, DeepCTR's lists, and where lengths and masks come from."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.layers import SequencePoolingLayer
from tests.arrays import to_numpy
from tests.layers.catalog import MAIN, MASKS, each
from tests.layers.checks import assert_all_close
from tests.layers.trial import arrays_of

NAMED = [e for e in MAIN if not e.layer.is_list]
MASKED = [e for e in NAMED if e.layer.masks]
WITH_LENGTHS = [e for e in NAMED if e.layer.lengths]
LISTS = [e for e in WITH_LENGTHS if e.trial().lengths_in_list]
SWITCHES = [
    pytest.param(e, switch, id=f"{e.name}-{switch}")
    for e in LISTS
    for switch in ((False, True) if e.layer.has_switch else (None,))
]


def masks_of(trial):
    return {n: MASKS[n][:, : v.shape[1]] for n, v in trial.valid.items()}


def combined(trial):
    """The trial with masks only, valid where lengths and masks say so."""
    masks = masks_of(trial)
    both = {n: v & masks[n] for n, v in trial.valid.items()}
    return trial.by_masks().with_valid(both)


def assert_calls(layer, trial, expected, **options):
    """By keywords, and with the features by position."""
    named = trial.named(**options)
    assert_all_close(arrays_of(layer(**named)), expected)
    features = [named.pop(n) for n in trial.features]
    assert_all_close(arrays_of(layer(*features, **named)), expected)


@each(NAMED)
def test_named_and_list_calls_are_equal(example):
    for by_masks in (False, True):
        trial = example.trial(measured=True, masks=by_masks)
        layer = trial.built()
        by_masks = by_masks or not example.layer.lengths
        expected = trial.run(layer)
        assert_calls(layer, trial, expected, masks=by_masks)
        inputs = trial.by_masks().inputs
        if by_masks and trial.masks and isinstance(inputs, list):
            got = layer(inputs, trial.mask(), **trial.call)
            assert_all_close(arrays_of(got), expected)


@each(WITH_LENGTHS)
def test_lengths_equal_masks_of_the_first_steps(example):
    trial = example.trial(measured=True)
    layer = trial.built()
    expected = trial.by_masks().run(layer)
    assert_calls(layer, trial, expected)


@each(WITH_LENGTHS)
def test_named_lengths_and_masks_are_combined(example):
    trial = example.trial(measured=True)
    layer = trial.built()
    both = trial.with_valid(masks_of(trial))
    expected = combined(trial).run(layer)
    assert_calls(layer, both, expected, masks=True)
    changed = [
        np.any(a != b) for a, b in zip(expected, trial.run(layer), strict=True)
    ]
    assert any(changed)


def implicit(x, valid):
    """The same features, padded with 0, with a mask that Keras attaches."""
    x = np.where(valid[..., None], x, np.float32(-7))
    return keras.layers.Masking(-7.0)(x)


@pytest.mark.parametrize(("example", "supports_masking"), SWITCHES)
def test_list_with_lengths_and_masks(example, supports_masking):
    trial = example.trial(measured=True)
    options = {}
    if supports_masking is not None:
        options["supports_masking"] = supports_masking
    layer = trial.built(**options)
    masks = masks_of(trial)
    masked = trial.with_valid(masks).filled(0.0, trial.masks)
    if supports_masking is False:
        expected = trial.run(layer)
        expected_filled = masked.with_valid(trial.valid).run(layer)
    else:
        expected = combined(trial).run(layer)
        expected_filled = combined(masked.with_valid(trial.valid)).run(layer)
    got = layer(trial.inputs, **trial.call, mask=trial.mask(masks))
    assert_all_close(arrays_of(got), expected)
    features = {
        n: implicit(x, masks[trial.sequences[n]])
        if n in trial.masks
        else ops.convert_to_tensor(x)
        for n, x in trial.features.items()
    }
    given = {**features, **trial.lengths}
    got = layer([given[n] for n in trial.order if n in given], **trial.call)
    assert_all_close(arrays_of(got), expected_filled)


def embedded(name, x, valid):
    """Ids, and an embedding with a mask that gives x in valid steps."""
    table = np.concatenate([np.zeros((1, x.shape[-1])), x[valid]])
    embedding = keras.layers.Embedding(
        len(table), x.shape[-1], mask_zero=True, name=f"{name}_embedding"
    )
    embedding.build((None, None))
    embedding.embeddings.assign(table)
    ids = np.zeros(valid.shape, "int32")
    ids[valid] = np.arange(1, len(table))
    return ids, embedding


def propagates(example, trial):
    """Whether a mask is propagated where there are no lengths."""
    first = next(iter(trial.features))
    return trial.outputs[0] == (1, trial.sequences.get(first))


@each(MASKED)
@pytest.mark.parametrize("lengths", [False, True])
def test_masks_of_embeddings_in_functional_models(example, lengths):
    if lengths and not example.layer.lengths:
        pytest.skip("takes no lengths")
    trial = example.trial(measured=True, masks=not lengths)
    masks = masks_of(trial)
    expected = (
        trial.with_valid(masks).filled(0.0, trial.masks).with_valid(trial.valid)
    )
    if lengths:
        expected = combined(expected)
    layer = trial.built()
    symbols, arrays, given = [], [], dict(trial.call)
    for name, x in trial.features.items():
        mask = masks.get(trial.sequences.get(name))
        if name in trial.masks:
            x, embedding = embedded(name, x, mask)
            symbols.append(keras.Input(x.shape[1:], dtype="int32"))
            given[name] = embedding(symbols[-1])
        else:
            symbols.append(keras.Input(x.shape[1:]))
            given[name] = symbols[-1]
        arrays.append(x)
    for name, n in (trial.lengths or {}).items():
        symbols.append(keras.Input((), dtype="int32"))
        given[name] = symbols[-1]
        arrays.append(n)
    outputs = layer(**given)
    model = keras.Model(symbols, keras.tree.flatten(outputs))
    expected = expected.run(layer)
    assert_all_close(
        trial.shown(arrays_of(model(arrays))), trial.shown(expected)
    )
    for output, at in zip(
        keras.tree.flatten(outputs), trial.outputs, strict=True
    ):
        has_mask = getattr(output, "_keras_mask", None) is not None
        expects = at and propagates(example, trial) and not lengths
        assert has_mask == bool(expects)


@each(MASKED)
def test_compute_mask(example):
    trial = example.trial(measured=True, masks=True)
    layer = trial.built()
    first = next(iter(trial.features))
    masks = trial.feature_masks()
    found = layer.compute_mask(trial.features[first], masks.get(first))
    found = [m for m in keras.tree.flatten(found) if m is not None]
    expects = propagates(example, trial)
    assert bool(found) == expects
    for mask in found:
        np.testing.assert_array_equal(to_numpy(mask), masks[first])


@each(LISTS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_lengths_of_any_dtype_and_shape(example, dtype):
    trial = example.trial(measured=True)
    layer = trial.built()
    expected = trial.run(layer)
    for shape in ((4,), (4, 1)):
        lengths = {
            n: x.astype(dtype).reshape(shape) for n, x in trial.lengths.items()
        }
        got = layer(**trial.named() | lengths)
        assert_all_close(arrays_of(got), expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_lengths_are_clipped(compiled):
    """NaN and negative numbers are 0; fractions are cut off."""
    lengths = [2.7, 0.9, -0.0, -1.0, -1e30, -np.inf, np.nan, 1e30, np.inf]
    x = np.ones((len(lengths), 5, 1), "float32")
    layer = SequencePoolingLayer("sum")
    inputs = [x, np.array(lengths, "float32")]
    if compiled:
        symbols = [keras.Input((5, 1)), keras.Input(())]
        model = keras.Model(symbols, layer(symbols))
        xla = keras.backend.backend() in ("tensorflow", "jax")
        model.compile(jit_compile=xla)
        got = model.predict(inputs, verbose=0)
    else:
        got = layer(inputs)
    assert to_numpy(got)[:, 0, 0].tolist() == [2, 0, 0, 0, 0, 0, 0, 5, 5]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32"])
def test_integer_lengths_and_masks(dtype):
    info = np.iinfo(dtype)
    lengths = np.array([info.min, 2, info.max], dtype)
    x = np.ones((3, 5, 1), "float32")
    layer = SequencePoolingLayer("sum")
    got = to_numpy(layer([x, lengths]))
    assert got[:, 0, 0].tolist() == [0, 2, 5]
    mask = np.array([[0, 1, -1, 2, 127]], "int8")
    assert to_numpy(layer(x[:1], mask=mask))[0, 0, 0] == 4


def test_float_lengths_keep_their_digits_in_half_precision():
    x = np.ones((1, 2049, 1), "float32")
    x[0, 2048] = 2.0
    layer = SequencePoolingLayer("max", dtype="mixed_float16")
    out = layer(x, lengths=np.array([[2049.0]], "float32"))
    assert float(to_numpy(ops.cast(out, "float32"))[0, 0, 0]) == 2.0


@each(LISTS)
def test_inputs_may_be_a_tuple(example):
    trial = example.trial(measured=True)
    layer = trial.built()
    got = layer(tuple(trial.inputs), **trial.call)
    assert_all_close(arrays_of(got), trial.run(layer))
