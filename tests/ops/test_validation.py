"""The notation in which functions declare their tensors."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from kseq.agreement.record import to_numpy
from kseq.ops import lengths_to_mask, masked_sum, plain_forms
from kseq.ops.backends.plain import only_plain
from kseq.ops.dtypes import dtype_of
from kseq.ops.validation import (
    FLOATS,
    INTEGERS,
    STAND_INS,
    SymbolicCall,
    known,
    parse,
    takes,
    to_tensor,
)
from tests.ops.compute import BACKEND


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


@takes(
    x="float batch steps dim",
    any="any batch ...",
    kernel="float 4*dim dim+units",
    bias="float 2*units",
    valid="bool batch steps",
    lengths="lengths batch",
)
def example(x, any=None, kernel=None, bias=None, valid=None, lengths=None):
    return x, any, kernel, bias, valid, lengths


X = ones(2, 3, 4)


def test_tensors_are_converted():
    x, rest, kernel, bias, valid, lengths = example(
        X,
        valid=ones(2, 3, dtype="int32"),
        lengths=np.array([3, 1]),
        bias=ones(10).tolist(),
    )
    assert rest is kernel is None
    assert all(map(ops.is_tensor, (x, bias)))
    assert dtype_of(valid) == "bool"
    assert dtype_of(lengths) == "float32"
    assert tuple(lengths.shape) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("float", FLOATS),
        ("bool", ("bool", *INTEGERS)),
        ("lengths", (*FLOATS, *INTEGERS)),
        ("any", (*FLOATS, *INTEGERS, "bool")),
    ],
)
def test_kinds(kind, accepted):
    for dtype in ("float32", "float16", "int32", "uint8", "bool", "complex64"):
        x = ones(2, 1, dtype=dtype)
        spec = parse(f"{kind} batch ..." if kind != "lengths" else "lengths b")
        if dtype in accepted:
            to_tensor("x", x, spec)
        else:
            with pytest.raises(ValueError, match=r"^x: expected .*; received "):
                to_tensor("x", x, spec)


@pytest.mark.parametrize(
    "wrong",
    [None, "abc", {"x": 1.0}, [[1.0, 2.0], [3.0]], np.array(["a"])],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["float", "bool", "any", "lengths"])
def test_what_is_no_tensor(kind, wrong):
    with pytest.raises(ValueError, match=r"^x: expected .*; received "):
        to_tensor("x", wrong, parse(f"{kind} batch"))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", ones(2, 3), r"\(batch, steps, dim\); received \(2, 3\)"),
        ("x", ones(2, 3, 4, 1), r"\(batch, steps, dim\); received"),
        ("any", ones(), r"shape \(batch, \.\.\.\); received \(\)"),
        ("any", ones(3, 2), r"with batch = 2; received \(3, 2\)"),
        ("kernel", ones(15, 9), r"with dim = 4; received \(15, 9\)"),
        ("kernel", ones(16, 3), r"with dim = 4; received \(16, 3\)"),
        ("valid", ones(2, 4, dtype=bool), r"with steps = 3; received \(2, 4\)"),
        ("lengths", ones(3), r"with batch = 2 or \(batch, 1\); received"),
        ("lengths", ones(2, 2), r"or \(batch, 1\); received \(2, 2\)"),
    ],
)
def test_shapes(argument, value, message):
    arguments = {"x": X} | {argument: value}
    with pytest.raises(ValueError, match=f"^{argument}: expected .*{message}"):
        example(**arguments)


def test_sizes_that_follow_from_others():
    # The kernel gives units = 5, which the bias must fit.
    example(X, kernel=ones(16, 9), bias=ones(10))
    with pytest.raises(ValueError, match=r"^bias: .*units = 5"):
        example(X, kernel=ones(16, 9), bias=ones(12))
    with pytest.raises(ValueError, match=r"^bias: .*2\*units"):
        example(X, bias=ones(9))
    # The second axis is read before the first.
    to_tensor("x", ones(7, 3), parse("float dim+units units"), sizes := {})
    assert sizes == {"units": 3, "dim": 4}
    # Of a sum with two unknown terms nothing is known.
    to_tensor("x", ones(7), parse("float dim+units"), {})
    with pytest.raises(ValueError, match=r"^x"):
        to_tensor("x", ones(7), parse("float 2*units"), {})


def test_each_call_has_its_own_sizes():
    example(X)
    example(ones(5, 6, 7))
    assert example(X, any=ones(2))[1] is not None


@pytest.mark.once
def test_pythons_own_errors():
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3"):
        masked_sum(X, ones(2, 3, dtype=bool), 1)
    with pytest.raises(TypeError, match="multiple values for argument 'x'"):
        masked_sum(X, x=X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'mask'"):
        masked_sum(X, mask=X)
    with pytest.raises(TypeError, match=r"missing 1 required .*'valid'"):
        masked_sum(X)
    with pytest.raises(ValueError, match=r"^valid: expected"):
        masked_sum(X, None)


def test_sizes_that_are_not_known_are_not_compared():
    class Shaped:
        """A tensor while a backend traces."""

        dtype = ops.ones(1).dtype

        def __init__(self, *shape):
            self.shape = shape

    symbol = object()
    assert known(None) is known(symbol) is None
    assert known(5) == 5
    sizes = {"batch": 2, "dim": 4}
    spec = parse("float batch dim 2*dim")
    for shape in ((None, 4, 8), (symbol, 4, symbol), (2, None, None)):
        x = Shaped(*shape)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ops, "is_tensor", lambda x: True)
            assert to_tensor("x", x, spec, sizes) is x
            with pytest.raises(ValueError, match=r"^x"):
                to_tensor("x", Shaped(*shape[:2], 7), spec, sizes)
    assert sizes == {"batch": 2, "dim": 4}


def test_stand_ins_are_not_compared():
    traced = BACKEND in ("torch", "numpy")
    assert ((83, 89) if traced else ()) == STAND_INS
    for stand_in in (83, 89):
        x = ones(2, stand_in, 4)
        if STAND_INS:
            example(x, valid=ones(2, 3, dtype=bool))
            example(X, lengths=ones(stand_in))
        else:
            with pytest.raises(ValueError, match=r"^valid"):
                example(x, valid=ones(2, 3, dtype=bool))
    with pytest.raises(ValueError, match=r"^valid"):
        example(ones(2, 84, 4), valid=ones(2, 3, dtype=bool))


@pytest.mark.skipif(BACKEND != "jax", reason="JAX's symbolic sizes")
def test_symbolic_sizes_of_jax():
    jax = pytest.importorskip("jax")
    export = pytest.importorskip("jax.export")
    batch, steps = export.symbolic_shape("batch, steps")

    def exported(*shape):
        return export.export(jax.jit(masked_sum))(
            jax.ShapeDtypeStruct((batch, steps, 4), "float32"),
            jax.ShapeDtypeStruct(shape, "bool"),
        )

    got = exported(batch, steps).call(X, ones(2, 3, dtype=bool))
    np.testing.assert_array_equal(got, np.full((2, 4), 3.0))
    with pytest.raises(ValueError, match=r"^valid"):
        exported(batch)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's symbolic sizes")
@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of export
def test_symbolic_sizes_of_torch():
    torch = pytest.importorskip("torch")

    class Sum(torch.nn.Module):
        def forward(self, x, valid):
            return masked_sum(x, valid)

    tensors = torch.tensor(X), torch.ones(2, 3, dtype=torch.bool)
    sizes = dict.fromkeys(range(2), torch.export.Dim.AUTO)
    program = torch.export.export(Sum(), tensors, dynamic_shapes=(sizes, sizes))
    other = torch.ones(4, 5, 4), torch.ones(4, 5, dtype=torch.bool)
    assert torch.equal(program.module()(*other), torch.full((4, 4), 5.0))


def test_symbolic_tensors_become_an_operation():
    symbol = keras.Input((None, 4))
    lengths = keras.Input((), dtype="int32")
    for mask in (
        lengths_to_mask(lengths, symbol),
        lengths_to_mask(x=symbol, lengths=lengths),
    ):
        assert isinstance(mask, keras.KerasTensor)
        assert mask.dtype == "bool"
        assert tuple(mask.shape) == (None, None)
    operation = SymbolicCall("k_max", {"k": 2, "axis": 1}, name="top")
    config = operation.get_config()
    again = SymbolicCall.from_config(config)
    assert again.get_config() == config
    assert again.name == "top"
    np.testing.assert_array_equal(to_numpy(again(x=X)), ones(2, 2, 4))


@pytest.mark.once
def test_plain_forms_is_left_by_an_error_too():
    with contextlib.suppress(KeyError), plain_forms():
        assert only_plain()
        raise KeyError
    assert not only_plain()
