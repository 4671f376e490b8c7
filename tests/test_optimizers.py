"""Optimizers of rows compute what Keras's compute for the rows looked up."""

import keras
import numpy as np
import pytest

import kseq.optimizers
from kseq.agreement.computation import dtype_scope
from kseq.layers import Embedding
from kseq.models.click_model import ClickModel
from tests.support import skip_left_out, to_numpy

NAMES = ("SGD", "Adagrad", "Adam")


@pytest.fixture(autouse=True)
def float64():
    skip_left_out("fit")
    with dtype_scope("float64"):
        yield


@pytest.fixture
def updates(monkeypatch):
    """The numbers of rows in each update of rows."""
    found = []
    for name in NAMES:
        cls = getattr(kseq.optimizers, f"Sparse{name}")
        original = cls.update_rows

        def spy(self, gradient, *args, original=original):
            found.append(gradient.shape)
            return original(self, gradient, *args)

        monkeypatch.setattr(cls, "update_rows", spy)
    return found


def make(optimizer, table=Embedding, **options):
    """A model that looks a table up twice."""
    ids = [keras.Input((n,), dtype="int32", name=f"x{n}") for n in (1, 3)]
    layer = table(9, 2, "ones", keras.regularizers.L2(0.01))
    rows = keras.layers.Concatenate(axis=1)([layer(x) for x in ids])
    y = keras.layers.Dense(1, kernel_initializer="ones")(
        keras.layers.Flatten()(rows)
    )
    model = ClickModel(ids, y)
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


def train(model, steps=range(3)):
    """Train on other rows in each step; ids repeat."""
    losses = []
    for i in steps:
        ids = np.array([[0, 1, 1, 3], [5, 2, 3, 2]]) + i
        features = {"x1": ids[:, :1], "x3": ids[:, 1:]}
        losses.append(model.train_on_batch(features, np.array([1.0, 2.0])))
    return losses


def close(first, second, name="weights"):
    pair = getattr(first, name), getattr(second, name)
    for a, b in zip(*pair, strict=True):
        np.testing.assert_allclose(
            to_numpy(a.value), to_numpy(b.value), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"global_clipnorm": 0.1}),
        ("Adagrad", {"loss_scale_factor": 4.0}),
        ("Adam", {"clipnorm": 0.1}),
        ("Adam", {}),
    ],
)
def test_equals_keras(name, options, updates):
    """Adam in the first step: later Keras's moves rows of earlier steps."""
    # The penalty on all rows would move them too.
    sparse = make(getattr(kseq.optimizers, f"Sparse{name}")(0.1, **options))
    dense = make(getattr(keras.optimizers, name)(0.1, **options))
    steps = range(1 if name == "Adam" else 3)
    np.testing.assert_allclose(
        train(sparse, steps), train(dense, steps), rtol=1e-6
    )
    close(sparse, dense)
    close(sparse.optimizer, dense.optimizer, "variables")
    assert updates
    # Batches of 3 and 1; the loss is their weighted mean.
    ids = np.array([[0, 1, 1, 3], [5, 2, 3, 2], [1, 1, 0, 0], [4, 4, 4, 4]])
    given = {"x1": ids[:, :1], "x3": ids[:, 1:]}, np.array([1, 2, 3, 9.0])
    found = [
        m.fit(*given, 3, verbose=0, shuffle=False) for m in (sparse, dense)
    ]
    first, second = (f.history["loss"][0] for f in found)
    if name != "Adam":
        np.testing.assert_allclose(first, second, rtol=1e-6)


def test_adam_leaves_other_rows():
    model = make(kseq.optimizers.SparseAdam(0.1))

    def rows():
        slots = [v for v in model.optimizer.variables if v.shape == (9, 2)]
        return [model.get_weights()[0], *(to_numpy(v.value) for v in slots)]

    train(model, [0])
    before = [x.copy() for x in rows()]
    train(model, [3])
    assert len(before) == 3
    for old, new in zip(before, rows(), strict=True):
        np.testing.assert_array_equal(new[[0, 1, 2, 7]], old[[0, 1, 2, 7]])
        assert np.all(new[[3, 4, 5, 6, 8]] != old[[3, 4, 5, 6, 8]])


def test_resumes_exactly(tmp_path):
    whole = make(kseq.optimizers.SparseAdam(0.1))
    train(whole, range(4))
    part = make(kseq.optimizers.SparseAdam(0.1))
    train(part, range(2))
    part.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is kseq.optimizers.SparseAdam
    train(loaded, range(2, 4))
    for a, b in zip(whole.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


def test_optimizer_chooses_the_gradient(updates):
    """Keras's optimizers and Keras's layer get gradients of whole tables."""
    model = make(kseq.optimizers.SparseSGD(0.1))
    train(model)
    assert updates
    updates.clear()
    model.compile("adam", "mse")
    train(model)
    # In another model, `sparse=True` asks for rows; on JAX the train step does.
    layer = next(x for x in model.layers if isinstance(x, Embedding))
    layer.sparse = True
    own = keras.Model(model.inputs, model.output)
    own.compile(kseq.optimizers.SparseSGD(0.1), "mse")
    own.train_on_batch([np.ones((2, 1)), np.ones((2, 3))], np.ones((2, 1)))
    assert bool(updates) == (keras.backend.backend() != "jax")
    updates.clear()
    train(make(kseq.optimizers.SparseSGD(), keras.layers.Embedding))
    assert not updates


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Adam", {"weight_decay": 0.1}),
        ("Adam", {"amsgrad": True}),
        ("Adagrad", {"use_ema": True}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"gradient_accumulation_steps": 2}),
    ],
)
def test_raises_for_what_changes_all_rows(name, options):
    (option,) = options
    with pytest.raises(ValueError, match=f"{option}: expected .*{name} has it"):
        getattr(kseq.optimizers, f"Sparse{name}")(**options)


def test_raises_for_a_loss_scale_that_changes():
    optimizer = kseq.optimizers.SparseAdam()
    model = make(keras.optimizers.LossScaleOptimizer(optimizer))
    with pytest.raises(ValueError, match="auto_scale_loss: expected False"):
        train(model)
