"""The layers that keep the promises: a new layer needs one entry here.

Histories are full, short, of one step and empty. Arrays are rounded to 8
significant bits, so that every dtype is given the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.agreement.numbers import rounded, seed_weights
from kseq.layers.core import (
    DNN,
    BatchNormalization,
    Dice,
    LayerNormalization,
    LocalActivationUnit,
)
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer,
    BiLSTM,
    DynamicGRU,
    KMaxPooling,
    PositionEncoding,
    SequencePoolingLayer,
    Transformer,
    WeightedSequenceLayer,
)
from tests.arrays import to_numpy

BATCH, STEPS, CANDIDATES, DIM = 4, 5, 2, 3
LENGTHS = np.array([5, 3, 1, 0], "int32")
PREFIX = np.arange(STEPS) < LENGTHS[:, None]
# The first step missing, holes, the last step alone, none.
MASK = np.array(
    [
        [0, 1, 1, 1, 1],
        [1, 0, 1, 0, 1],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ],
    bool,
)


def draw(*shape):
    seed = list(shape)
    numbers = rounded(
        np.random.default_rng(seed).normal(size=shape), "bfloat16"
    )
    return numbers.astype("float32")


ARRAYS = {
    "query": draw(BATCH, CANDIDATES, DIM),
    "x": draw(BATCH, STEPS, DIM),
    "weights": draw(BATCH, STEPS),
}
PADDED = ("x", "weights")  # those that have steps, on axis 1


@dataclass(frozen=True)
class Example:
    """A layer with what it is called with and what it gives.

    Args:
        name: for test ids.
        make: makes the layer, given further keyword arguments.
        features: names of `ARRAYS`, in the order of the layer's inputs.
        lengths_at: the places of the lengths among the inputs, in ascending
            order; none for a layer that is told by a mask alone.
        has_switch: whether the layer has DeepCTR's `supports_masking`.
        steps_at: the output's axis of steps; None where there is none.
        passes_mask: whether the mask goes on (with the switch on).
        empty_is_zero: whether an empty history gives zeros.
        step_by_step: whether padding stays in the output of its own step.
        least_steps: the fewest steps that the layer can do with.
        counts_places: whether it matters where in a sequence a step stands,
            padded ones counted.
    """

    name: str
    make: Callable[..., Any]
    features: tuple[str, ...] = ("x",)
    lengths_at: tuple[int, ...] = (1,)
    has_switch: bool = True
    steps_at: int | None = None
    passes_mask: bool = False
    empty_is_zero: bool = True
    step_by_step: bool = False
    least_steps: int = 1
    counts_places: bool = False

    def masking(self, **options):
        """The layer with masks chosen, where that is to be chosen."""
        if self.has_switch:
            options["supports_masking"] = True
        return self.make(**options)

    def alone(self, arrays=ARRAYS):
        """The inputs without lengths; of one feature, itself."""
        features = [arrays[name] for name in self.features]
        return features if len(features) > 1 else features[0]

    def inputs(self, arrays=ARRAYS, lengths=LENGTHS):
        """The inputs, with lengths where the layer takes them."""
        if not self.lengths_at:
            return self.alone(arrays)
        inputs = [arrays[name] for name in self.features]
        for place in self.lengths_at:
            inputs.insert(place, lengths)
        return inputs

    def mask(self, mask):
        """A mask of the steps as the layer's `mask=` takes it."""
        masks = [mask if name == "x" else None for name in self.features]
        return masks if len(masks) > 1 else masks[0]

    def options(self, lengths=LENGTHS, steps=STEPS):
        """The `mask=` of a layer that takes no lengths."""
        if self.lengths_at:
            return {}
        return {"mask": self.mask(np.arange(steps) < lengths[:, None])}

    def built(self, make=None, **options):
        """The layer, built, with weights that are the same everywhere."""
        layer = (make or self.make)(**options)
        shapes = keras.tree.map_structure(np.shape, self.inputs())
        layer.build_from_config({"input_shape": shapes})
        seed_weights(layer)
        return layer

    def call(self, layer, arrays=ARRAYS, lengths=LENGTHS):
        """What the layer gives for the first `lengths` steps."""
        steps = arrays["x"].shape[1]
        inputs = self.inputs(arrays, lengths)
        return to_numpy(layer(inputs, **self.options(lengths, steps)))

    def call_masked(self, layer, arrays=ARRAYS, mask=MASK):
        """What the layer gives for the steps of a mask."""
        return to_numpy(layer(self.alone(arrays), mask=self.mask(mask)))

    def shown(self, output, mask=PREFIX):
        """An output with 0 where a step's own padding may stand."""
        if not self.step_by_step:
            return output
        axes = [a for a in range(output.ndim) if a not in (0, self.steps_at)]
        return np.where(np.expand_dims(mask, axes), output, 0.0)


def pooling(mode):
    return lambda **k: SequencePoolingLayer(mode, **k)


def weighted(normalize):
    return lambda **k: WeightedSequenceLayer(normalize, **k)


def attention(activation="sigmoid", **options):
    return lambda **k: AttentionSequencePoolingLayer(
        (4, 2), activation, **options, **k
    )


PAIR = ("query", "x")
EXAMPLES = [
    Example("sum", pooling("sum")),
    Example("mean", pooling("mean")),
    Example("max", pooling("max")),
    Example(
        "weighted",
        weighted(True),
        ("x", "weights"),
        steps_at=1,
        passes_mask=True,
    ),
    Example(
        "weighted-plain",
        weighted(False),
        ("x", "weights"),
        steps_at=1,
        passes_mask=True,
    ),
    Example(
        "k-max",
        lambda **k: KMaxPooling(2, **k),
        has_switch=False,
        least_steps=2,
    ),
    Example(
        "k-max-dim",
        lambda **k: KMaxPooling(2, axis=-1, **k),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
    ),
    Example("attention", attention(), PAIR, (2,)),
    Example("attention-dice", attention("dice"), PAIR, (2,)),
    Example(
        "attention-softmax",
        attention("relu", weight_normalization=True),
        PAIR,
        (2,),
    ),
    Example(
        "attention-score",
        attention(keras.layers.PReLU(shared_axes=[1]), return_score=True),
        PAIR,
        (2,),
        steps_at=2,
    ),
    Example(
        "local-activation-unit",
        lambda **k: LocalActivationUnit((4, 2), "dice", **k),
        PAIR,
        (),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
        empty_is_zero=False,
    ),
    Example(
        "dice",
        Dice,
        lengths_at=(),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
    ),
    Example(
        "batch-normalization",
        BatchNormalization,
        lengths_at=(),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
        empty_is_zero=False,
    ),
    Example(
        "layer-normalization",
        LayerNormalization,
        lengths_at=(),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
        empty_is_zero=False,
        step_by_step=True,
    ),
    Example(
        "dnn",
        lambda **k: DNN((4, 2), "sigmoid", **k),
        lengths_at=(),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
        empty_is_zero=False,
    ),
    Example(
        "gru",
        lambda **k: DynamicGRU(4, **k),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
    ),
    Example(
        "augru-last",
        lambda **k: DynamicGRU(4, "AUGRU", return_sequence=False, **k),
        ("x", "weights"),
        has_switch=False,
    ),
    Example(
        "agru",
        lambda **k: DynamicGRU(None, "AGRU", **k),
        ("x", "weights"),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
    ),
    Example(
        "bilstm",
        lambda **k: BiLSTM(2, dropout_rate=0.0, **k),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
    ),
    Example(
        "position-encoding",
        lambda **k: PositionEncoding(max_steps=12, **k),
        lengths_at=(),
        has_switch=False,
        steps_at=1,
        passes_mask=True,
        empty_is_zero=False,
        step_by_step=True,
        counts_places=True,
    ),
    Example(
        "transformer",
        lambda **k: Transformer(
            1,
            3,
            use_positional_encoding=False,
            output_type="masked_mean",
            **k,
        ),
        ("x", "x"),
        (2, 3),
    ),
    Example(
        "transformer-sequence",
        lambda **k: Transformer(
            3,
            1,
            use_positional_encoding=False,
            use_layer_norm=True,
            attention_type="additive",
            output_type=None,
            **k,
        ),
        ("x", "x"),
        (2, 3),
        steps_at=1,
        passes_mask=True,
    ),
]
BY_NAME = {example.name: example for example in EXAMPLES}
WITH_LENGTHS = [example for example in EXAMPLES if example.lengths_at]


def names(examples):
    """Test ids."""
    return [example.name for example in examples]


def fill(arrays, filling, mask=PREFIX):
    """The arrays with something else in the steps that do not count."""
    filled = dict(arrays)
    for name in PADDED:
        x = arrays[name]
        keep = np.expand_dims(mask, tuple(range(2, x.ndim)))
        filled[name] = np.where(keep, x, filling).astype(x.dtype)
    return filled


def with_steps(steps, arrays=ARRAYS, filling=0.0):
    """The arrays cut to so many steps, or with more padding behind them."""
    changed = dict(arrays)
    for name in PADDED:
        x = arrays[name][:, :steps]
        missing = [(0, 0)] * x.ndim
        missing[1] = (0, steps - x.shape[1])
        changed[name] = np.pad(x, missing, constant_values=filling)
    return changed


def everything(steps=None, examples=EXAMPLES, **options):
    """One functional model of the examples, its outputs by their names.

    It takes a list of `ARRAYS`, "lengths", and "mask" for those layers that
    know no lengths: see `model_inputs`. Not a dict: Keras on OpenVINO warns.
    """
    used = {name for example in examples for name in example.features}
    symbols = {
        name: keras.Input(
            (CANDIDATES if name == "query" else steps, *x.shape[2:]), name=name
        )
        for name, x in ARRAYS.items()
        if name in used
    }
    if any(example.lengths_at for example in examples):
        symbols["lengths"] = keras.Input((), dtype="int32", name="lengths")
    if not all(example.lengths_at for example in examples):
        symbols["mask"] = keras.Input((steps,), dtype="bool", name="mask")
    outputs = {}
    for example in examples:
        told = {}
        if not example.lengths_at:
            told["mask"] = example.mask(symbols["mask"])
        # A name of its own, so that a model has the same on every backend.
        layer = example.make(name=f"{example.name}_layer", **options)
        outputs[example.name] = layer(
            example.inputs(symbols, symbols.get("lengths")), **told
        )
    model = keras.Model(list(symbols.values()), outputs)
    seed_weights(model)
    return model


def model_inputs(model, arrays=ARRAYS, lengths=LENGTHS):
    """What a model of `everything` is called with."""
    steps = arrays["x"].shape[1]
    lengths = np.minimum(lengths, steps).astype("int32")
    given = arrays | {
        "lengths": lengths,
        "mask": np.arange(steps) < lengths[:, None],
    }
    return [given[symbol.name] for symbol in model.inputs]


def predict(model, arrays=ARRAYS, lengths=LENGTHS):
    """A model's outputs by name, in float32 or wider."""
    return predict_inputs(model, model_inputs(model, arrays, lengths))


def predict_inputs(model, inputs):
    if keras.backend.backend() == "openvino":
        # Its `predict` compiles the whole model, and on a CPU that has them
        # computes float32 by bfloat16 instructions: 3e-3 off
        # (docs/upstream/openvino_predict_rounds.py).
        outputs = model(inputs)
    else:
        outputs = model.predict(inputs, verbose=0)
    return {name: wide(output) for name, output in outputs.items()}


def wide(output):
    """For NumPy, which has no arithmetic for bfloat16."""
    double = keras.backend.standardize_dtype(output.dtype) == "float64"
    return to_numpy(ops.cast(output, "float64" if double else "float32"))


def float32(tensor):
    return to_numpy(ops.cast(tensor, "float32"))
