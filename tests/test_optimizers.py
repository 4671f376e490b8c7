"""Optimizers of rows compute what Keras's compute for the rows looked up."""

import keras
import numpy as np
import pytest

import kseq.optimizers
from kseq.agreement.measure import dtype_scope
from kseq.layers import Embedding
from tests.arrays import to_numpy
from tests.layers.checks import skip_left_out
from tests.models.examples import BY_NAME, CLICKS, arrays, inputs_of

NAMES = ("SGD", "Adagrad", "Adam")
EXAMPLE = BY_NAME["DIEN-AUGRU-negatives"]  # a table with four lookups


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


def make(optimizer, **options):
    model = EXAMPLE.make(**options)
    model.compile(optimizer, "binary_crossentropy", metrics=["mae"])
    return model


def batch(step, all_rows=False):
    """Other ids in each step, or all ids in each."""
    found = arrays()
    for name in ("item", "cate"):
        ids = found[f"hist_{name}"]
        if all_rows:
            ids[:] = np.arange(ids.size).reshape(ids.shape) % ids.max() + 1
            ids[-1, -1] = 0
        else:
            ids[ids > 2 + step] = 0
    return found


def train(model, steps=3, **options):
    return [
        model.train_on_batch(
            {n: x for n, x in inputs_of(model, batch(i, **options)).items()},
            CLICKS,
        )
        for i in range(steps)
    ]


def tables(model):
    return [w for w in model.weights if w.path.endswith("/embeddings")]


def close(first, second):
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_allclose(
            to_numpy(a.value), to_numpy(b.value), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize(
    "options", [{}, {"global_clipnorm": 1e-2}, {"loss_scale_factor": 4.0}]
)
@pytest.mark.parametrize("name", NAMES)
def test_equals_keras(name, options, updates):
    """Adam only where the rows are the same in each step."""
    sparse = make(getattr(kseq.optimizers, f"Sparse{name}")(0.1, **options))
    dense = make(getattr(keras.optimizers, name)(0.1, **options))
    given = {"steps": 1} if name == "Adam" else {"steps": 3}
    np.testing.assert_allclose(
        train(sparse, **given), train(dense, **given), rtol=1e-6
    )
    close(sparse, dense)
    assert len(updates) >= 4  # a table each: in JAX once for all steps
    states = [
        {v.name: v for v in m.optimizer.variables} for m in (sparse, dense)
    ]
    assert [*states[0]] == [*states[1]]
    for key, value in states[0].items():
        np.testing.assert_allclose(
            to_numpy(value.value),
            to_numpy(states[1][key].value),
            rtol=1e-6,
            atol=1e-9,
        )


def test_adam_leaves_other_rows():
    """In the second step Keras's Adam moves the rows of the first again."""
    model = keras.Sequential([Embedding(5, 2, "ones", sparse=True)])
    model.add(keras.layers.Flatten())
    optimizer = kseq.optimizers.SparseAdam(0.1)
    if keras.backend.backend() == "jax":
        pytest.skip("JAX: rows in the models of kseq.models only")
    model.compile(optimizer, "mse")
    y = np.zeros((1, 4))
    model.train_on_batch(np.array([[1, 1]]), y)
    before = model.get_weights()[0]
    model.train_on_batch(np.array([[3, 4]]), y)
    after = model.get_weights()[0]
    np.testing.assert_allclose(before[1], 0.9, rtol=1e-5)
    np.testing.assert_array_equal(before[:3], after[:3])
    assert np.all(after[3:] < 1)
    m = to_numpy(optimizer._momentums[0].value)
    np.testing.assert_array_equal(m.any(axis=1), [0, 1, 0, 1, 1])


def test_resumes_exactly(tmp_path):
    whole = make(kseq.optimizers.SparseAdam(0.1))
    train(whole, 4)
    part = make(kseq.optimizers.SparseAdam(0.1))
    train(part, 2)
    part.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is kseq.optimizers.SparseAdam
    for i in (2, 3):
        loaded.train_on_batch(inputs_of(loaded, batch(i)), CLICKS)
    for a, b in zip(whole.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a.value), to_numpy(b.value))


def test_optimizer_chooses_the_gradient(updates):
    model = make(kseq.optimizers.SparseSGD(0.1))
    train(model, 1)
    assert updates
    model.compile("adam", "binary_crossentropy")
    train(model, 1)
    other = EXAMPLE.make(embedding_layer=keras.layers.Embedding)
    updates.clear()
    other.compile(kseq.optimizers.SparseSGD(), "binary_crossentropy")
    train(other, 1)
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
    model = EXAMPLE.make()
    optimizer = kseq.optimizers.SparseAdam()
    wrapped = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(wrapped, "binary_crossentropy")
    with pytest.raises(ValueError, match="auto_scale_loss: expected False"):
        train(model, 1)
