"""Wrong calls raise ValueError that names the argument.

Eagerly, and where a functional model is made.
"""

import keras
import numpy as np
import pytest

from kseq.layers import BiasEncoding, KMaxPooling, PositionEncoding
from tests.layers.catalog import BY_NAME, LAYERS, SOME, draw32, each

DENSE = ("DNN", "Dice", "BatchNormalization", "LayerNormalization")
NAMED = [
    e for e in SOME if not e.layer.is_list and e.layer.name != "PredictionLayer"
]
WRAPPERS = (lambda x: x, lambda x: keras.tree.map_structure(symbol, x))


def symbol(x):
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "bfiu":
        return x
    return keras.Input(batch_shape=x.shape, dtype=x.dtype.name)


# Keras surrounds what is raised in `call`, and describes an InputSpec so.
START = r"(^|\x1b\[1m)"
SPEC = r"is incompatible with the layer"


def assert_raises(names, layer, *args, **kwargs):
    """A ValueError of one of the arguments, eagerly and symbolically."""
    pattern = rf"{START}({'|'.join(names)})(\[\d\])?: expected |{SPEC}"
    for convert in WRAPPERS:
        with pytest.raises(ValueError, match=pattern):
            layer(*convert(args), **convert(kwargs))


def calls(example):
    trial = example.trial()
    masks = not trial.lengths
    return trial, trial.built(), trial.named(masks, not masks)


def wrong_calls(example, named):
    """An argument and a wrong array for it; more are in tests/ops."""
    for name, x in named.items():
        if not isinstance(x, np.ndarray):
            continue
        if "mask" in name:
            yield name, x.astype("float32")
        elif example.layer.name in DENSE:  # which take any shape
            continue
        yield name, x[:2]
        if "lengths" in name:
            yield name, np.stack([x, x], 1)
        elif example.layer.name != "KMaxPooling":  # takes any rank
            yield name, x[..., None, None, None]


@pytest.mark.once
@each(NAMED)
def test_named_calls(example):
    """The error names the argument, or one that it does not fit."""
    _, layer, named = calls(example)
    names = {*named, *example.layer.lengths, "mask"}
    # `zero_padding` and `din_hidden` name their own arguments.
    names |= {"valid", "kernel"}
    for name, wrong in wrong_calls(example, named):
        assert_raises(names, layer, **named | {name: wrong})
    assert layer(**named) is not None  # still


@pytest.mark.once
@each([e for e in NAMED if e.layer.requires_mask])
def test_neither_lengths_nor_masks(example):
    trial, layer, _ = calls(example)
    for convert in WRAPPERS:
        with pytest.raises(ValueError, match=r"expected one of .*, or a mask"):
            layer(**convert({**trial.features}))


@pytest.mark.once
@each([e for e in NAMED if e.layer.deepctr])
def test_lists_and_masks_of_another_size(example):
    trial = example.trial(masks=not example.layer.lengths)
    layer = trial.built()
    inputs = trial.inputs if isinstance(trial.inputs, list) else [trial.inputs]
    # Of three inputs two may be a list without lengths.
    for wrong in ([], [*inputs, inputs[0]]):
        assert_raises(["inputs"], layer, wrong)
    if trial.masks:
        inputs = trial.by_masks().inputs
        mask = next(iter(trial.valid.values()))
        assert_raises(["mask"], layer, inputs, mask=[mask] * 7)
        for wrong in ("abc", {"a": 1}):
            match = r"mask: expected|expected one of .*mask"
            with pytest.raises(ValueError, match=match):
                layer(inputs, mask=wrong)


@pytest.mark.once
@each([layer for layer in LAYERS if layer.needs_width], "layer")
def test_unknown_widths(layer):
    options = {"max_steps": 5, "axis": -1}
    options = {n: v for n, v in options.items() if n in layer.given}
    created = layer.make(layer.given | options)
    shapes = [(None, 5, None)] * len(layer.inputs)
    if layer.is_list:
        shapes = [shapes]
    elif layer.name == "DynamicGRU":
        shapes = shapes[:1]
    pattern = rf"^{layer.needs_width}: expected a known size"
    with pytest.raises(ValueError, match=pattern):
        created.build(*shapes)
    assert created.weights == []


X = draw32("x", 2, 5, 3)


@pytest.mark.parametrize(
    ("layer", "x", "name"),
    [
        (PositionEncoding(), keras.Input((None, 3)), "max_steps"),
        (BiasEncoding(1), keras.Input((None, 3)), "max_steps"),
        (PositionEncoding(max_steps=4), X, "inputs"),
        (BiasEncoding(1, max_steps=4), X, "inputs"),
        (BiasEncoding(2), [X], "inputs"),
        (KMaxPooling(9), X, "k"),
        (KMaxPooling(1, axis=3), X, "axis"),
        (KMaxPooling(1, axis=0), X, "axis"),
    ],
)
def test_sizes_that_do_not_fit(layer, x, name):
    with pytest.raises(ValueError, match=rf"{START}({name}|x): expected "):
        layer(x)


@pytest.mark.parametrize(
    ("name", "argument", "wrong"),
    [
        ("attention-sigmoid", "query", draw32("q", 4, 2, 9)),
        ("gru-plain", "initial_state", draw32("h", 4, 9)),
        ("gru-plain", "initial_state", draw32("h", 2, 4)),
        ("gru-plain", "scores", draw32("s", 4, 6)),
        ("gru-augru", "scores", None),
        ("weighted-softmax-lengths", "weights", draw32("s", 4, 5)),
        ("auxiliary-loss", "clicks", draw32("c", 4, 5, 3)),
    ],
)
def test_arguments_that_do_not_fit(name, argument, wrong):
    """On every backend, whose tracing differs."""
    _, layer, named = calls(BY_NAME[name])
    # The scorer's kernel and the keys have the width of the query.
    names = [argument, "keys", "kernel"] if argument == "query" else [argument]
    assert_raises(names, layer, **named | {argument: wrong})
