import numpy as np
import pytest

from kseq.ops import attention, din_hidden, linear
from tests.ops.compute import compute
from tests.ops.examples import BY_NAME


@pytest.mark.parametrize(
    ("form", "steps", "dim", "products"),
    [
        ("fold", 2, 3, 1),
        ("split", 4, 3, 3),
        (None, 2, 3, 3),
        (None, 3, 3, 1),
        (None, 4, 3, 1),
    ],
)
def test_fewer_steps_than_dim_are_split(
    form, steps, dim, products, monkeypatch
):
    """Both forms give the same numbers; they differ in the products."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return linear(*arguments)

    monkeypatch.setattr(attention, "linear", counted)
    arrays = BY_NAME["din_hidden-fold"].arrays("float32", steps=steps, dim=dim)
    compute(din_hidden, "float32", **arrays, form=form)
    assert len(calls) == products


@pytest.mark.parametrize("name", ["din_hidden", "attention_pool", "linear"])
def test_tensors_are_cast_to_the_first(name):
    example = BY_NAME[name]
    arrays = example.arrays("float32")
    first = next(iter(example.axes))
    half = {first: arrays[first].astype("float16")}
    others = {n: x.astype("float32") for n, x in arrays.items() if n != first}
    got = example(**others, **half)
    assert "float16" in str(got.dtype)
    expected = compute(example, "float16", **arrays)
    np.testing.assert_allclose(
        np.asarray(got, "float32"),
        expected.astype("float32"),
        rtol=1e-2,
        atol=1e-2,
    )
