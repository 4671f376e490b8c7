"""What a plain Keras model of the same layers takes, a model of kseq takes."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.measure import dtype_scope
from kseq.feature_column import get_feature_names
from tests.arrays import to_numpy
from tests.layers.checks import assert_close, skip_left_out
from tests.models.examples import (
    BY_NAME,
    CLICKS,
    arrays,
    columns,
    inputs_of,
    predict,
)
from tests.models.saved.quantised import quantise

BACKEND = keras.backend.backend()

MODELS = [BY_NAME[n] for n in ("DIN", "DIEN-AUGRU-negatives", "DSIN", "BST")]
each_model = pytest.mark.parametrize("example", MODELS, ids=lambda e: e.name)

FORMS = {
    "dict": dict,
    "dict in another order": lambda x: dict(reversed(x.items())),
    "dict with more": lambda x: {**x, "more": x["item"]},
    "list": lambda x: [*x.values()],
    "tuple": lambda x: tuple(x.values()),
}
each_form = pytest.mark.parametrize("form", FORMS)


def twin_of(model):
    """A Keras model of the same layers and weights."""
    twin = keras.Model(model.inputs, model.output)
    assert type(twin) is not type(model)
    return twin


def compiled(model, optimizer=lambda: "sgd", **options):
    defaults = {"loss": "binary_crossentropy", "metrics": ["mae"]}
    # Keras's own compilation would take most of the time.
    options = {**defaults, "run_eagerly": True, **options}
    model.compile(optimizer(), **options)
    return model


def both(name="DIN", **options):
    """A model and the twin of another one with the same weights."""
    models = BY_NAME[name].make(), twin_of(BY_NAME[name].make())
    return tuple(compiled(model, **options) for model in models)


def assert_equal_results(function, name="DIN", **options):
    """Apply a function to a model and its twin; compare what it returns."""
    model, twin = both(name, **options)
    before = model.get_weights()
    got, expected = function(model), function(twin)
    for one, other in zip(
        keras.tree.flatten(got), keras.tree.flatten(expected), strict=True
    ):
        assert_close(to_numpy(one), to_numpy(other))
    for one, other in zip(model.weights, twin.weights, strict=True):
        assert_close(to_numpy(one.value), to_numpy(other.value))
    return before, model.get_weights()


@pytest.fixture(scope="module")
def models():
    return {example.name: example.make() for example in MODELS}


@each_form
def test_predictions(models, form):
    model = models["DIN"]
    twin = twin_of(model)
    x = FORMS[form](inputs_of(model))
    assert_close(model.predict(x, verbose=0), twin.predict(x, verbose=0))
    assert_close(
        to_numpy(model.predict_on_batch(x)), to_numpy(twin.predict_on_batch(x))
    )
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    assert_close(to_numpy(model(tensors)), to_numpy(twin(tensors)))


@each_model
def test_symbolic_inputs(models, example):
    """A model inside a model."""
    model = models[example.name]
    symbols = {
        x.name: keras.Input(x.shape[1:], dtype=x.dtype, name=x.name)
        for x in model.inputs
    }
    outputs = {form: model(FORMS[form](symbols)) for form in FORMS}
    outer = keras.Model(symbols, outputs)
    for form, output in outer(inputs_of(model)).items():
        assert_close(to_numpy(output), predict(model), name=form)


WEIGHTS = np.arange(len(CLICKS)) / 2
TARGETS = {
    "column": {"y": CLICKS[:, None]},
    "row": {"y": CLICKS},
    "list": {"y": [CLICKS[:, None]]},
    "sample weights": {"y": CLICKS[:, None], "sample_weight": WEIGHTS},
    "class weights": {"y": CLICKS[:, None], "class_weight": {0: 0.5, 1: 2.0}},
}


@pytest.mark.parametrize("targets", TARGETS)
def test_training(targets):
    skip_left_out("fit")
    options = TARGETS[targets]

    def train(model):
        x = inputs_of(model)
        found = [model.train_on_batch(x, **options)]
        found.append(model.fit(x, **options, verbose=0).history)
        if targets != "class weights":
            found.append(model.evaluate(x, **options, verbose=0))
        return found

    assert_equal_results(train)


def test_validation_data():
    skip_left_out("fit")

    def train(model):
        x = inputs_of(model)
        # By position, as Keras's signature has it.
        return model.fit(
            x, CLICKS, 5, 1, 0, None, 0.0, (x, CLICKS[:, None]), False
        ).history

    assert_equal_results(train)


class Rows(keras.utils.PyDataset):
    """Two batches of any arrays."""

    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 2

    def __getitem__(self, i):
        rows = slice(3 * i, 3 * i + 3)
        return keras.tree.map_structure(lambda x: x[rows], self.arrays)


def batches(arrays):
    rows = Rows(arrays)
    while True:
        yield from (rows[i] for i in range(len(rows)))


def tf_data(arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(3)


def data_loader(arrays):
    data = pytest.importorskip("torch.utils.data")
    flat = [*zip(*keras.tree.flatten(arrays), strict=True)]
    rows = [keras.tree.pack_sequence_as(arrays, row) for row in flat]
    return data.DataLoader(rows, batch_size=3)


DATA = {
    "PyDataset": Rows,
    "generator": batches,
    "tensors": None,
    **({"tf.data": tf_data} if BACKEND == "tensorflow" else {}),
    **({"DataLoader": data_loader} if BACKEND == "torch" else {}),
}


@pytest.mark.parametrize("data", DATA)
def test_data_sets(data):
    skip_left_out("fit")

    def train(model):
        given = inputs_of(model), CLICKS[:, None], WEIGHTS
        options = {"verbose": 0}
        if data == "generator":
            options |= {"steps_per_epoch": 2, "validation_steps": 2}
        if data == "tensors":
            x, y, weights = keras.tree.map_structure(
                ops.convert_to_tensor, given
            )
            options |= {"batch_size": 3, "validation_batch_size": 3}
            options |= {"y": y, "sample_weight": weights}
            rows, validation = x, (x, y, weights)
        else:
            rows, validation = (DATA[data](given) for _ in range(2))
        return model.fit(
            rows, shuffle=False, validation_data=validation, **options
        ).history

    assert_equal_results(train)


def sgd(**options):
    return lambda: keras.optimizers.SGD(0.5, **options)


OPTIONS = {
    "clipping": {"optimizer": sgd(global_clipnorm=0.01, weight_decay=0.1)},
    "EMA": {"optimizer": sgd(use_ema=True, ema_overwrite_frequency=2)},
    "accumulation": {"optimizer": sgd(gradient_accumulation_steps=2)},
    "loss scaling": {
        "optimizer": lambda: keras.optimizers.LossScaleOptimizer(sgd()())
    },
    "lists": {
        "loss": ["binary_crossentropy"],
        "loss_weights": [0.5],
        "weighted_metrics": ["mse", keras.metrics.binary_accuracy],
    },
    "compiled": {
        "run_eagerly": False,
        # torch.compile takes minutes, and Keras has single steps there.
        "jit_compile": BACKEND != "torch",
        "steps_per_execution": 1 if BACKEND == "torch" else 2,
    },
}


@pytest.mark.parametrize("options", OPTIONS)
def test_compile_options(options):
    skip_left_out("fit")

    def train(model):
        history = model.fit(
            inputs_of(model),
            CLICKS[:, None],
            sample_weight=WEIGHTS,
            batch_size=3,
            epochs=2,
            shuffle=False,
            verbose=0,
        ).history
        return history, model.predict(inputs_of(model), verbose=0)

    # With an auxiliary loss.
    name = "DIEN-AUGRU-negatives" if options == "accumulation" else "DIN"
    before, after = assert_equal_results(train, name, **OPTIONS[options])
    assert any(np.any(a != b) for a, b in zip(before, after, strict=True))


def test_mixed_precision():
    skip_left_out("fit")

    def train(model):
        return model.fit(inputs_of(model), CLICKS[:, None], verbose=0).history

    with dtype_scope("mixed_float16"):
        assert_equal_results(train)


def test_quantize():
    def quantised(model):
        quantise(model, "int8")
        return predict(model)

    assert_equal_results(quantised)


def test_callbacks(tmp_path):
    skip_left_out("fit")

    def train(model):
        folder = tmp_path / type(model).__name__
        folder.mkdir()
        made = keras.callbacks
        callbacks = [
            made.ModelCheckpoint(
                folder / "best.keras", "loss", save_best_only=True
            ),
            made.EarlyStopping("loss", start_from_epoch=1, baseline=0.0),
            made.ReduceLROnPlateau("loss", patience=1, min_delta=9.0),
            made.LearningRateScheduler(lambda epoch, rate: rate / 2),
            made.BackupAndRestore(folder / "backup", delete_checkpoint=False),
            made.CSVLogger(folder / "log.csv"),
            made.TerminateOnNaN(),
        ]
        x, y = inputs_of(model), CLICKS[:, None]
        options = {"verbose": 0, "validation_data": (x, y)}
        found = model.fit(x, y, epochs=2, callbacks=callbacks, **options)
        # Restored from the backup, training goes on after the last epoch.
        more = model.fit(x, y, epochs=3, callbacks=callbacks[4:5], **options)
        assert len(more.epoch) == 1
        best = keras.saving.load_model(folder / "best.keras")
        assert type(best) is type(model)
        log = np.genfromtxt(folder / "log.csv", delimiter=",", skip_header=1)
        return found.history, more.history, predict(best), log

    assert_equal_results(train)


def test_saving(tmp_path):
    """A loaded model has the state of training."""
    skip_left_out("fit")

    def train(model):
        x, y = inputs_of(model), CLICKS[:, None]
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "model.weights.h5")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        loaded.run_eagerly = True
        history = loaded.fit(x, y, verbose=0).history
        predictions = predict(loaded)
        loaded.load_weights(tmp_path / "model.weights.h5")
        return history, predictions, predict(loaded)

    assert_equal_results(train, optimizer=lambda: "adam")


def summary(model):
    lines = []
    model.summary(
        print_fn=lines.append, show_trainable=True, expand_nested=True
    )
    return "\n".join(lines).partition("\n")[2]  # after the model's name


FACTS = {
    "summary": summary,
    "get_layer": lambda m: [
        m.get_layer(x.name) is m.get_layer(index=i) is x
        for i, x in enumerate(m.layers)
    ],
    "shapes": lambda m: (
        m.compute_output_shape([x.shape for x in m.inputs]),
        [(x.name, x.shape, x.dtype) for x in m.inputs + m.outputs],
    ),
    "weights": lambda m: [
        *[(w.path, w.shape, w.trainable) for w in m.variables],
        m.count_params(),
    ],
    "compile config": lambda m: {
        **m.get_compile_config(),
        "jit_compile": None,
        "optimizer": None,
    },
    "metrics": lambda m: [
        m.test_on_batch(inputs_of(m), CLICKS[:, None], return_dict=True),
        m.metrics_names,
        m.reset_metrics(),
        m.compute_loss(y=CLICKS[:, None], y_pred=m(inputs_of(m))),
    ],
    "JSON": lambda m: keras.models.model_from_json(m.to_json()).count_params(),
    "state": lambda m: m.get_state_tree(),
    "stateless_call": lambda m: m.stateless_call(
        m.trainable_variables, m.non_trainable_variables, inputs_of(m)
    ),
}


@pytest.mark.parametrize("fact", FACTS)
def test_facts(fact):
    model = compiled(BY_NAME["DIN"].make())
    twin = compiled(twin_of(model))
    got, expected = FACTS[fact](model), FACTS[fact](twin)
    pairs = zip(
        keras.tree.flatten(got), keras.tree.flatten(expected), strict=True
    )
    for one, other in pairs:
        if hasattr(one, "shape"):
            assert_close(to_numpy(one), to_numpy(other))
        else:
            assert one == other


def cloned(model):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def restored(model):
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    return again


def with_same_layers(model):
    return keras.models.clone_model(model, clone_function=lambda layer: layer)


COPIES = {
    "clone_model": cloned,
    "clone_model with functions": with_same_layers,
    "from_config": restored,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("make", COPIES)
@each_model
def test_copies(models, example, make):
    """A copy takes what the model takes, a list of all features too."""
    model = models[example.name]
    again = COPIES[make](model)
    assert type(again) is type(model)
    x = inputs_of(model)
    for form in (dict, list):
        assert_close(to_numpy(again(FORMS[form.__name__](x))), predict(model))


@each_model
def test_submodels(models, example):
    """Between any two tensors of a model."""
    model = models[example.name]
    hidden = keras.Model(
        model.inputs, [model.output, model.get_layer("dnn").output]
    )
    _, expected = hidden(inputs_of(model))
    head = keras.Model(model.get_layer("dnn").output, model.output)
    assert_close(to_numpy(head(expected)), predict(model))


def test_targets_of_one_axis():
    """With a metric that takes two; the twin rejects them."""
    skip_left_out("fit")
    model = BY_NAME["DIN"].make()
    found = []
    for targets in (CLICKS, CLICKS[:, None]):
        # TensorFlow would trace for any rank.
        loss = "binary_crossentropy"
        model.compile("sgd", loss, metrics=[loss, "auc"])
        found.append(model.evaluate(inputs_of(model), targets, verbose=0))
    assert found[0] == found[1]


LIST = [*inputs_of(BY_NAME["DIN"].make()).values()]
NAMES = get_feature_names(columns())
SHORT = {**arrays(), "hist_item": arrays()["hist_item"][:, :-1]}
WRONG = [
    ([SHORT[n] for n in NAMES], r"^hist_item: expected shape \(None, 4\)"),
    (SHORT, r"^hist_item: expected .*; received shape \(5, 3\)"),
    ({"item": LIST[1]}, "^x: expected all of .*; received none of .*'hist_"),
    (LIST[:-2], "^x: expected a list of .*'tags'"),
]


@pytest.mark.parametrize("method", ["predict", "fit", "evaluate"])
def test_wrong_inputs_raise_and_keep_the_weights(method):
    """Also after TensorFlow has traced a loop, and on JAX."""
    model = BY_NAME["DIN"].make()
    targets = {} if method == "predict" else {"y": CLICKS}
    if targets:
        skip_left_out("fit")
        model.compile("sgd", "binary_crossentropy")
    call = getattr(model, method)
    call(LIST, **targets, verbose=0)
    expected = predict(model)
    for x, message in WRONG:
        with pytest.raises(ValueError, match=message):
            call(x, **targets, verbose=0)
    assert_close(predict(model), expected)


def test_all_features_are_inputs(models):
    model = models["DIN"]
    assert "seq_length" in [x.name for x in model.inputs]
    changed = {**arrays(), "seq_length": np.zeros(len(CLICKS))}
    np.testing.assert_array_equal(predict(model, changed), predict(model))
