"""Named calls, DeepCTR's lists, and where lengths and masks come from."""

import keras
import numpy as np
import pytest
from keras import ops

from kseq.layers import SequencePoolingLayer
from tests.layers.catalog import MASKS, SOME, each
from tests.layers.trial import arrays_of
from tests.support import assert_all_close, to_numpy

NAMED = [e for e in SOME if not e.layer.is_list]
MASKED = [e for e in NAMED if e.layer.masks]
WITH_LENGTHS = [e for e in NAMED if e.layer.lengths]
LISTS = [e for e in WITH_LENGTHS if e.trial().lengths_in_list]


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


@pytest.mark.once
@each(NAMED)
@pytest.mark.parametrize("masks", [False, True])
def test_named_and_list_calls_are_equal(example, masks):
    trial, layer, expected = example.computed(masks)
    masks = masks or not example.layer.lengths
    assert_calls(layer, trial, expected, masks=masks)
    assert_all_close(trial.by_masks().run(layer), expected)
    inputs = trial.by_masks().inputs
    if trial.masks and isinstance(inputs, list):
        got = layer(tuple(inputs), trial.mask(), **trial.call)
        assert_all_close(arrays_of(got), expected)


@pytest.mark.once
@each(LISTS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_lengths_of_any_dtype_and_shape(example, dtype):
    trial, layer, expected = example.computed()
    for shape in ((4,), (4, 1)):
        lengths = {
            n: x.astype(dtype).reshape(shape) for n, x in trial.lengths.items()
        }
        got = layer(**trial.named() | lengths)
        assert_all_close(arrays_of(got), expected)


@pytest.mark.once
@each([e for e in MASKED if not e.layer.requires_mask])
def test_without_lengths_and_masks_every_step_is_valid(example):
    trial, layer, _ = example.computed(masks=True)
    full = trial.with_valid({n: v | True for n, v in trial.valid.items()})
    got = arrays_of(layer(**trial.features, **trial.call))
    assert_all_close(got, full.run(layer))


def test_lengths_given_as_floats_are_not_rounded():
    x = np.ones((1, 2049, 1), "float32")
    x[0, 2048] = 2.0
    layer = SequencePoolingLayer("max", dtype="mixed_float16")
    out = layer(x, lengths=np.array([[2049.0]], "float32"))
    assert float(to_numpy(ops.cast(out, "float32"))[0, 0, 0]) == 2.0


def test_lengths_are_clipped_in_compiled_models():
    """NaN and negative numbers are 0; fractions are cut off."""
    lengths = [2.7, 0.9, -0.0, -1.0, -1e30, -np.inf, np.nan, 1e30, np.inf]
    symbols = [keras.Input((5, 1)), keras.Input(())]
    model = keras.Model(symbols, SequencePoolingLayer("sum")(symbols))
    model.compile(jit_compile=keras.backend.backend() in ("tensorflow", "jax"))
    inputs = [np.ones((9, 5, 1), "float32"), np.array(lengths, "float32")]
    got = to_numpy(model.predict(inputs, verbose=0))
    assert got.ravel().tolist() == [2, 0, 0, 0, 0, 0, 0, 5, 5]


@pytest.mark.once
@each(WITH_LENGTHS)
def test_named_lengths_and_masks_are_combined(example):
    trial, layer, usual = example.computed()
    both = trial.with_valid(masks_of(trial))
    expected = combined(trial).run(layer)
    assert_calls(layer, both, expected, masks=True)
    pairs = zip(expected, usual, strict=True)
    assert any(np.any(a != b) for a, b in pairs)


def implicit(x, valid):
    """The same features, padded with 0, with a mask that Keras attaches."""
    x = np.where(valid[..., None], x, np.float32(-7))
    return keras.layers.Masking(-7.0)(x)


@pytest.mark.once
@each(LISTS)
@pytest.mark.parametrize("supports_masking", [False, True])
def test_list_with_lengths_and_masks(example, supports_masking):
    trial, layer, _ = example.computed()
    if "supports_masking" in example.layer.arguments:
        layer = trial.built(supports_masking=supports_masking)
    elif not supports_masking:
        pytest.skip("has no argument supports_masking")

    def run(trial):
        return (combined(trial) if supports_masking else trial).run(layer)

    masks = masks_of(trial)
    got = layer(trial.inputs, **trial.call, mask=trial.mask(masks))
    assert_all_close(arrays_of(got), run(trial))
    features = {
        n: implicit(x, masks[trial.sequences[n]])
        if n in trial.masks
        else ops.convert_to_tensor(x)
        for n, x in trial.features.items()
    }
    given = {**features, **trial.lengths}
    got = layer([given[n] for n in trial.order if n in given], **trial.call)
    filled = trial.with_valid(masks).filled(0.0, trial.masks)
    expected = run(filled.with_valid(trial.valid))
    assert_all_close(arrays_of(got), expected)


def embedded(name, x, valid):
    """Ids, and an embedding with a mask that gives x in valid steps."""
    table = np.zeros((valid.size + 1, x.shape[-1]), "float32")
    table[1:][valid.ravel()] = x[valid]
    embedding = keras.layers.Embedding(
        len(table), x.shape[-1], mask_zero=True, name=f"{name}_embedding"
    )
    embedding.build((None, None))
    embedding.embeddings.assign(table)
    ids = np.where(valid, 1 + np.arange(valid.size).reshape(valid.shape), 0)
    return ids.astype("int32"), embedding


def propagates(trial):
    """Whether a mask is propagated where there are no lengths."""
    first = next(iter(trial.features))
    return trial.outputs[0] == (1, trial.sequences.get(first))


@each(MASKED)
@pytest.mark.parametrize("lengths", [False, True])
def test_masks_of_embeddings_in_functional_models(example, lengths):
    if lengths and not example.layer.lengths:
        pytest.skip("takes no lengths")
    trial, layer, _ = example.computed(masks=not lengths)
    masks = masks_of(trial)
    expected = (
        trial.with_valid(masks).filled(0.0, trial.masks).with_valid(trial.valid)
    )
    if lengths:
        expected = combined(expected)
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
    outputs = keras.tree.flatten(layer(**given))
    got = arrays_of(keras.Model(symbols, outputs)(arrays))
    assert_all_close(trial.shown(got), trial.shown(expected.run(layer)))
    for output, at in zip(outputs, trial.outputs, strict=True):
        has_mask = getattr(output, "_keras_mask", None) is not None
        assert has_mask == bool(at and propagates(trial) and not lengths)
