"""What a plain Keras model of the same layers takes, a model of kseq takes."""

import copy
import itertools
import pickle

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.computation import dtype_scope
from kseq.feature_column import get_feature_names
from tests.models.examples import (
    BY_NAME,
    CLICKS,
    arrays,
    columns,
    inputs_of,
    predict,
)
from tests.support import assert_close, once, skip_left_out, to_numpy

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


def assert_equal_results(function, name="DIN", **options):
    """Apply a function to a model and the twin of another one."""
    # Without a penalty, which the twin adds once in each call of a table.
    model, other = (BY_NAME[name].make(l2_reg_embedding=0) for _ in range(2))
    models = model, twin_of(other)
    before = models[0].get_weights()
    results = [(function(compiled(m, **options)), m.weights) for m in models]
    pairs = zip(*map(keras.tree.flatten, results), strict=True)
    for one, other in pairs:
        assert_close(to_numpy(one), to_numpy(other))
    after = models[0].get_weights()
    assert any(np.any(x != y) for x, y in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def models():
    return {example.name: example.make() for example in MODELS}


@pytest.mark.once
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


def sgd(**options):
    return lambda: keras.optimizers.SGD(0.5, **options)


COLUMN = CLICKS[:, None]
WEIGHTS = np.arange(len(CLICKS)) / 2
# Options of `compile` and of `fit`.
TRAINING = {
    "row": ({}, {"y": CLICKS}),
    "list": ({}, {"y": [COLUMN]}),
    "tuple": ({}, {"y": (COLUMN,)}),
    "sample weights": ({}, {"sample_weight": WEIGHTS}),
    "class weights": ({}, {"class_weight": {0: 0.5, 1: 2.0}}),
    "clipping": ({"optimizer": sgd(global_clipnorm=0.01)}, {}),
    "EMA": ({"optimizer": sgd(use_ema=True, ema_overwrite_frequency=2)}, {}),
    "accumulation": ({"optimizer": sgd(gradient_accumulation_steps=2)}, {}),
    "mixed precision": ({}, {}),
    "metrics": (
        {
            "loss": ["binary_crossentropy"],
            "loss_weights": [0.5],
            "weighted_metrics": ["mse", keras.metrics.binary_accuracy],
        },
        {"sample_weight": WEIGHTS},
    ),
    "compiled": (
        {
            "run_eagerly": False,
            # torch.compile takes minutes, and Keras has single steps there.
            "jit_compile": BACKEND != "torch",
            "steps_per_execution": 1 if BACKEND == "torch" else 2,
        },
        {},
    ),
}


# What reaches the step of training, which each backend has of its own.
EVERYWHERE = ("row", "metrics", "compiled")


@pytest.mark.parametrize(
    "case", [case if case in EVERYWHERE else once(case) for case in TRAINING]
)
def test_training(case):
    skip_left_out("fit")
    compile_options, options = TRAINING[case]
    # One with an auxiliary loss.
    name = "DIEN-AUGRU-negatives" if case == "accumulation" else "DIN"

    def train(model):
        x = inputs_of(model)
        given = {"y": COLUMN, **options}
        steps = {"batch_size": 3, "epochs": 2, "shuffle": False, "verbose": 0}
        found = [model.fit(x, **given, **steps).history]
        if case != "compiled":
            found.append(model.train_on_batch(x, **given))
        given.pop("class_weight", None)
        found.append(model.evaluate(x, **given, verbose=0))
        return [*found, model.predict(x, verbose=0)]

    policy = "mixed_float16" if case == "mixed precision" else "float32"
    with dtype_scope(policy):
        assert_equal_results(train, name, **compile_options)


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


def tf_data(rows):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(rows.arrays).batch(3)


def data_loader(rows):
    data = pytest.importorskip("torch.utils.data")
    flat = [*zip(*keras.tree.flatten(rows.arrays), strict=True)]
    examples = [keras.tree.pack_sequence_as(rows.arrays, x) for x in flat]
    return data.DataLoader(examples, batch_size=3)


DATA = {
    "PyDataset": lambda rows: rows,
    "generator": lambda rows: (rows[i % 2] for i in itertools.count()),
    **({"tf.data": tf_data} if BACKEND == "tensorflow" else {}),
    **({"DataLoader": data_loader} if BACKEND == "torch" else {}),
}


@pytest.mark.parametrize(
    "data", ["PyDataset", *map(once, [*DATA][1:2]), *[*DATA][2:], "tensors"]
)
def test_data_sets(data):
    skip_left_out("fit")

    def given(model, **steps):
        arrays = inputs_of(model), COLUMN, WEIGHTS
        if data != "tensors":
            steps = steps if data == "generator" else {}
            return {"x": DATA[data](Rows(arrays)), **steps}
        tensors = keras.tree.map_structure(ops.convert_to_tensor, arrays)
        return dict(zip(("x", "y", "sample_weight"), tensors, strict=True))

    def train(model):
        options = {"shuffle": False, "verbose": 0}
        fitted = model.fit(**given(model, steps_per_epoch=2), **options)
        evaluated = model.evaluate(**given(model, steps=2), verbose=0)
        return fitted.history, evaluated

    assert_equal_results(train)


@pytest.mark.once
def test_callbacks_and_files(tmp_path):
    """The files have the state of training."""
    skip_left_out("fit")

    def train(model):
        folder = tmp_path / type(model).__name__
        folder.mkdir()
        file, log = folder / "best.keras", folder / "log.csv"
        some = keras.callbacks
        callbacks = [
            some.BackupAndRestore(folder / "backup", delete_checkpoint=False),
            some.ModelCheckpoint(file, "loss", save_best_only=True),
            some.EarlyStopping("loss", start_from_epoch=1, baseline=0.0),
            some.ReduceLROnPlateau("loss", patience=1, min_delta=9.0),
            some.LearningRateScheduler(lambda epoch, rate: rate / 2),
            some.CSVLogger(log),
        ]
        x = inputs_of(model)
        options = {"verbose": 0, "validation_data": (x, COLUMN, WEIGHTS)}
        found = [model.fit(x, COLUMN, epochs=2, callbacks=callbacks, **options)]
        # Training goes on after the epochs of the backup.
        options["callbacks"] = callbacks[:1]
        found.append(model.fit(x, COLUMN, epochs=3, **options))
        assert len(found[1].epoch) == 1
        best = keras.saving.load_model(file)
        assert type(best) is type(model)
        best.run_eagerly = True
        found.append(best.fit(x, COLUMN, verbose=0))
        rows = np.genfromtxt(log, delimiter=",", skip_header=1)
        return [f.history for f in found], predict(best), rows

    assert_equal_results(train, optimizer=lambda: "adam")


def cloned(model):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def restored(model):
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    return again


COPIES = {
    "clone_model": cloned,
    "from_config": restored,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.once
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


LIST = [*inputs_of(BY_NAME["DIN"].make()).values()]
NAMES = get_feature_names(columns())
SHORT = {**arrays(), "hist_item": arrays()["hist_item"][:, :-1]}
WRONG = [
    ([SHORT[n] for n in NAMES], r"^hist_item: expected shape \(None, 4\)"),
    (SHORT, r"^hist_item: expected .*; received shape \(5, 3\)"),
    ({"item": LIST[1]}, "^x: expected all of .*; received none of .*'hist_"),
    (LIST[:-2], "^x: expected a list of .*'tags'"),
    *(
        ({**arrays(), name: values}, f"^{message}")
        for name, values, message in (
            ("hist_item", np.ones((5, 4, 3)), r"hist_item: .*\(5, 4, 3\)"),
            ("item", np.ones((5, 2, 1)), r"item: .*\(None, 1\).*\(5, 2, 1\)"),
            ("price", np.ones(5), r"price: expected shape \(None, 2\)"),
            ("user", np.int32(3), r"user: .*received shape \(\)"),
            ("item", np.ones(3), "x: expected one number of rows.*'item': 3"),
        )
    ),
]


@pytest.mark.parametrize("method", ["predict", "fit", once("evaluate")])
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


@pytest.mark.once
def test_targets_of_one_axis():
    """With a metric that takes two; the twin rejects them."""
    model = BY_NAME["DIN"].make()
    found = []
    for targets in (CLICKS, CLICKS[:, None]):
        # TensorFlow would trace for any rank.
        loss = "binary_crossentropy"
        model.compile("sgd", loss, metrics=[loss, "auc"])
        found.append(model.evaluate(inputs_of(model), targets, verbose=0))
    assert found[0] == found[1]
