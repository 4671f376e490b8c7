"""What the ops refuse, and in which words: every argument of every op."""

import inspect
import re

import keras
import numpy as np
import pytest

import kseq.ops

BATCH, STEPS, DIM, UNITS = 2, 3, 4, 2


def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)


X, VALID = ones(BATCH, STEPS, DIM), ones(BATCH, STEPS, dtype=bool)
SCORES = ones(BATCH, 1, STEPS)
HEADS = ones(BATCH, 1, STEPS, DIM)
VECTOR = ones(DIM)

# What each op takes, so that a row below says only what is wrong.
RIGHT = {
    "attention_pool": {"weights": SCORES, "keys": X},
    "attention_weights": {"scores": SCORES, "valid": VALID},
    "din_form": {"keys_shape": (None, 3, 4)},
    "din_hidden": {
        "query": ones(BATCH, 1, DIM),
        "keys": X,
        "kernel": ones(4 * DIM, UNITS),
        "bias": ones(UNITS),
    },
    "dtype_of": {"x": X},
    "first_rows": {"table": ones(5, DIM), "x": X},
    "gru": {
        "x": X,
        "valid": VALID,
        "gates": (ones(DIM + UNITS, 2 * UNITS), ones(2 * UNITS)),
        "candidate": (ones(DIM + UNITS, UNITS), ones(UNITS)),
        "scores": ones(BATCH, STEPS),
        "gru_type": "AUGRU",
        "initial_state": ones(BATCH, UNITS),
    },
    "k_max": {"x": X, "k": 1},
    "l2_normalize": {"x": X},
    "layer_normalize": {"x": X, "gamma": VECTOR, "beta": VECTOR},
    "lengths_to_mask": {"lengths": ones(BATCH, dtype="int32"), "x": X},
    "linear": {"x": X, "kernel": ones(DIM, UNITS), "bias": ones(UNITS)},
    "lstm": {
        "x": X,
        "valid": VALID,
        "kernel": ones(DIM, 4 * UNITS),
        "recurrent_kernel": ones(UNITS, 4 * UNITS),
        "bias": ones(4 * UNITS),
    },
    "masked_max": {"x": X, "valid": VALID},
    "masked_mean": {"x": X, "valid": VALID},
    "masked_softmax": {"scores": SCORES, "valid": VALID[:, None]},
    "masked_sum": {"x": X, "valid": VALID},
    "moments": {"x": X, "axes": (0, 1), "valid": VALID[..., None]},
    "multi_head_attention": {
        "query": HEADS,
        "keys": HEADS,
        "values": HEADS,
        "valid": VALID,
        "attention_type": "additive",
        "weights": (VECTOR, VECTOR),
    },
    "resolve_mask": {"x": X, "mask": VALID},
    "sinusoid": {"steps": 3, "dim": 4},
    "sinusoid_like": {"x": X},
    "step_weights": {"weights": ones(BATCH, STEPS), "valid": VALID},
    "tanh": {"x": X},
    "upcast": {"x": X},
    "zero_padding": {"x": X, "valid": VALID},
}

TENSOR = "a tensor"
FLOATS = "a tensor of floats"
MASK = "bools, or integers 0 and 1"
LENGTHS = "integers or whole floats"

# What kind of tensor each argument is. One in an argument with others has its
# place: gates[0].
KINDS = {
    "attention_pool": {"weights": FLOATS, "keys": FLOATS},
    "attention_weights": {"scores": FLOATS, "valid": MASK},
    "din_hidden": dict.fromkeys(("query", "keys", "kernel", "bias"), FLOATS),
    "first_rows": {"table": TENSOR, "x": TENSOR},
    "gru": {
        "x": FLOATS,
        "valid": MASK,
        "gates[0]": FLOATS,
        "gates[1]": FLOATS,
        "candidate[0]": FLOATS,
        "candidate[1]": FLOATS,
        "scores": FLOATS,
        "initial_state": FLOATS,
    },
    "k_max": {"x": FLOATS, "valid": MASK},
    "l2_normalize": {"x": FLOATS},
    "layer_normalize": {"x": FLOATS, "gamma": FLOATS, "beta": FLOATS},
    "lengths_to_mask": {"lengths": LENGTHS, "x": TENSOR},
    "linear": {"x": FLOATS, "kernel": FLOATS, "bias": FLOATS},
    "lstm": {
        "x": FLOATS,
        "valid": MASK,
        "kernel": FLOATS,
        "recurrent_kernel": FLOATS,
        "bias": FLOATS,
    },
    "masked_max": {"x": FLOATS, "valid": MASK},
    "masked_mean": {"x": FLOATS, "valid": MASK},
    "masked_softmax": {"scores": FLOATS, "valid": MASK},
    "masked_sum": {"x": FLOATS, "valid": MASK},
    "moments": {"x": FLOATS, "valid": MASK},
    "multi_head_attention": {
        "query": FLOATS,
        "keys": FLOATS,
        "values": FLOATS,
        "valid": MASK,
        "weights[0]": FLOATS,
        "weights[1]": FLOATS,
        "query_valid": MASK,
    },
    "resolve_mask": {"x": TENSOR, "mask": MASK, "lengths": LENGTHS},
    "sinusoid_like": {"x": FLOATS},
    "step_weights": {"weights": FLOATS, "valid": MASK},
    "tanh": {"x": FLOATS},
    "upcast": {"x": FLOATS},
    "zero_padding": {"x": TENSOR, "valid": MASK},
}

RAGGED = [[1.0, 2.0], [3.0]]
NO_TENSORS = {
    "None": None,
    "a word": "abc",
    "a dict": {"x": 1.0},
    "ragged": RAGGED,
    "objects": np.array([None, 1.0]),
    "words": np.array(["a", "b"]),
}
OTHER_DTYPES = {
    TENSOR: ("complex64",),
    FLOATS: ("complex64", "int32", "bool"),
    MASK: ("complex64", "float32"),
    LENGTHS: ("complex64", "bool"),
}
# None stands for no such argument.
OPTIONAL = {
    ("gru", "initial_state"),
    ("k_max", "valid"),
    ("linear", "bias"),
    ("moments", "valid"),
    ("multi_head_attention", "query_valid"),
    ("resolve_mask", "mask"),
    ("resolve_mask", "lengths"),
}


def kind_rows():
    """Each tensor of each op: what is no tensor, and of another dtype."""
    for op, kinds in KINDS.items():
        for argument, kind in kinds.items():
            for name, wrong in NO_TENSORS.items():
                if wrong is not None or (op, argument) not in OPTIONAL:
                    yield op, argument, name, wrong
            for dtype in OTHER_DTYPES[kind]:
                yield op, argument, dtype, np.ones((2, 2), dtype)


def with_wrong(op, argument, wrong):
    arguments = dict(RIGHT[op])
    name, _, place = argument.partition("[")
    if place:
        items = list(arguments[name])
        items[int(place[0])] = wrong
        wrong = tuple(items)
    return arguments | {name: wrong}


def says(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("op", "argument", "wrong"),
    [
        pytest.param(op, argument, wrong, id=f"{op}-{argument}-{name}")
        for op, argument, name, wrong in kind_rows()
    ],
)
def test_what_is_no_such_tensor_is_refused(op, argument, wrong):
    if op == "gru" and argument == "scores" and wrong is None:
        expected = "scores: expected (batch, steps), for AUGRU; received None"
        with says(expected):
            kseq.ops.gru(**with_wrong(op, argument, wrong))
        return
    expected = f"{argument}: expected {KINDS[op][argument]}; received "
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}") as caught:
        getattr(kseq.ops, op)(**with_wrong(op, argument, wrong))
    # TensorFlow and OpenVINO have tensors of words: then the dtype is said.
    dtype = getattr(wrong, "dtype", "string")
    received = str(caught.value).removeprefix(expected)
    assert received in (repr(wrong), f"dtype {dtype}", "dtype string")


@pytest.mark.parametrize("op", KINDS)
def test_a_symbolic_tensor_is_refused(op):
    # Some backends take it, and others fail in their own functions.
    argument, kind = next(iter(KINDS[op].items()))
    symbol = keras.Input((STEPS, DIM))
    with says(
        f"{argument}: expected {kind}, of a symbolic one in a layer's `call`; "
        f"received {symbol!r}"
    ):
        getattr(kseq.ops, op)(**with_wrong(op, argument, symbol))


BOOL = "expected True or False; received "
RANK = "expected a tensor of rank "
NO_STEPS = ones(BATCH, 1, dtype=bool)
ATTENTION = "multi_head_attention"
WORD = "'yes'"

# The op, what it is given instead, and the error.
ROWS = [
    (
        "attention_pool",
        {"weights": SCORES[0]},
        f"weights: {RANK}3; received shape (1, 3)",
    ),
    (
        "attention_pool",
        {"keys": X[:, :2]},
        "keys: expected shape (batch, steps, dim) with steps = 3; "
        "received (2, 2, 4)",
    ),
    (
        "attention_pool",
        {"keys": X[:1]},
        "keys: expected shape (batch, steps, dim) with batch = 2; "
        "received (1, 3, 4)",
    ),
    (
        "attention_weights",
        {"scores": SCORES[0]},
        f"scores: {RANK}3; received shape (1, 3)",
    ),
    (
        "attention_weights",
        {"valid": NO_STEPS},
        "valid: expected shape (batch, steps) with steps = 3; received (2, 1)",
    ),
    (
        "attention_weights",
        {"valid": VALID[:1]},
        "valid: expected shape (batch, steps) with batch = 2; received (1, 3)",
    ),
    (
        "attention_weights",
        {"valid": VALID[..., None]},
        f"valid: {RANK}2; received shape (2, 3, 1)",
    ),
    ("attention_weights", {"normalize": 1}, f"normalize: {BOOL}1"),
    *(
        (
            "din_form",
            {"keys_shape": shape},
            "keys_shape: expected a shape (batch, steps, dim); "
            f"received {shape!r}",
        )
        for shape in (None, 3, "abc", (3, 4), (2, 3, "a"), {1: 2})
    ),
    (
        "din_hidden",
        {"query": X[0]},
        f"query: {RANK}3; received shape (3, 4)",
    ),
    (
        "din_hidden",
        {"keys": X[..., :2]},
        "keys: expected shape (batch, steps, dim) with dim = 4; "
        "received (2, 3, 2)",
    ),
    (
        "din_hidden",
        {"kernel": ones(DIM, UNITS)},
        "kernel: expected shape (4 * dim, units) with 4 * dim = 16; "
        "received (4, 2)",
    ),
    (
        "din_hidden",
        {"bias": ones(1)},
        "bias: expected shape (units) with units = 2; received (1,)",
    ),
    (
        "din_hidden",
        {"form": "both"},
        "form: expected one of 'fold', 'split'; received 'both'",
    ),
    *(
        ("dtype_of", {"x": x}, f"x: expected a tensor; received {x!r}")
        for x in (None, "abc", 1.0, [1.0])
    ),
    (
        "first_rows",
        {"table": np.float32(1)},
        f"table: {RANK}1 or more; received shape ()",
    ),
    (
        "first_rows",
        {"x": ones(BATCH)},
        f"x: {RANK}2 or more; received shape (2,)",
    ),
    (
        "first_rows",
        {"table": ones(2, DIM)},
        "inputs: expected at most 2 steps (max_steps); received 3",
    ),
    ("gru", {"x": X[0]}, f"x: {RANK}3; received shape (3, 4)"),
    (
        "gru",
        {"valid": NO_STEPS},
        "valid and x: expected equal sizes on axis 1; "
        "received {'valid': (2, 1), 'x': (2, 3, 4)}",
    ),
    ("gru", {"valid": VALID[0]}, f"valid: {RANK}2; received shape (3,)"),
    (
        "gru",
        {"gates": ones(2)},
        f"gates: expected a tuple of 2 tensors; received {ones(2)!r}",
    ),
    (
        "gru",
        {"candidate": (ones(DIM + UNITS, UNITS),)},
        "candidate: expected a tuple of 2 tensors; received "
        f"{(ones(DIM + UNITS, UNITS),)!r}",
    ),
    (
        "gru",
        {"gates": (ones(DIM + UNITS, UNITS), ones(2 * UNITS))},
        "gates[0]: expected shape (dim + units, 2 * units) with 2 * units = 4; "
        "received (6, 2)",
    ),
    (
        "gru",
        {"gates": (ones(DIM + UNITS, 2 * UNITS), ones(UNITS))},
        "gates[1]: expected shape (2 * units) with 2 * units = 4; "
        "received (2,)",
    ),
    (
        "gru",
        {"candidate": (ones(DIM + UNITS, UNITS), ones(1))},
        "candidate[1]: expected shape (units) with units = 2; received (1,)",
    ),
    (
        "gru",
        {"x": X[..., :3]},
        "gates and candidate: expected kernels of 3 + 2 rows, for x and the "
        "state; received 6",
    ),
    (
        "gru",
        {"scores": ones(BATCH, STEPS, 1)},
        f"scores: {RANK}2; received shape (2, 3, 1)",
    ),
    (
        "gru",
        {"scores": ones(BATCH, 1)},
        "scores: expected shape (batch, steps) with steps = 3; received (2, 1)",
    ),
    (
        "gru",
        {"gru_type": "LSTM"},
        "gru_type: expected one of 'GRU', 'AIGRU', 'AGRU', 'AUGRU'; "
        "received 'LSTM'",
    ),
    (
        "gru",
        {"augru_form": None},
        "augru_form: expected one of 'deepctr', 'paper'; received None",
    ),
    (
        "gru",
        {"initial_state": ones(BATCH, 1)},
        "initial_state: expected shape (batch, units) with units = 2; "
        "received (2, 1)",
    ),
    *(
        ("k_max", {"k": k}, f"k: expected a positive integer; received {k!r}")
        for k in (0, -1, True, 1.0, "1", None)
    ),
    (
        "k_max",
        {"k": 4},
        "k: expected at most the size 3 of axis 1; received 4",
    ),
    (
        "k_max",
        {"k": 5, "axis": -1},
        "k: expected at most the size 4 of axis 2; received 5",
    ),
    *(
        (
            "k_max",
            {"axis": axis},
            f"axis: expected 1 to 2, or -2 to -1; received {axis!r}",
        )
        for axis in (0, 3, -3, -4, 1.0, None, True)
    ),
    ("k_max", {"x": X[:, 0, 0]}, f"x: {RANK}2 or more; received shape (2,)"),
    (
        "k_max",
        {"valid": NO_STEPS},
        "valid and x: expected equal sizes on axis 1; "
        "received {'valid': (2, 1), 'x': (2, 3, 4)}",
    ),
    (
        "k_max",
        {"valid": ones(*X.shape, dtype=bool)},
        f"valid: {RANK}2; received shape (2, 3, 4)",
    ),
    (
        "l2_normalize",
        {"x": np.float32(1)},
        f"x: {RANK}1 or more; received shape ()",
    ),
    (
        "layer_normalize",
        {"x": np.float32(1)},
        f"x: {RANK}1 or more; received shape ()",
    ),
    (
        "layer_normalize",
        {"gamma": ones(3)},
        "gamma: expected shape (dim) with dim = 4; received (3,)",
    ),
    (
        "layer_normalize",
        {"beta": X},
        f"beta: {RANK}1; received shape (2, 3, 4)",
    ),
    *(
        (
            "layer_normalize",
            {"epsilon": epsilon},
            "epsilon: expected a finite number of at least 0; "
            f"received {epsilon!r}",
        )
        for epsilon in (-1e-9, float("nan"), float("inf"), None, True, "0")
    ),
    *(
        (
            "lengths_to_mask",
            {"lengths": ones(*shape, dtype="int32")},
            f"lengths: {RANK}1 or 2; received shape {shape}",
        )
        for shape in ((), (2, 1, 1))
    ),
    (
        "lengths_to_mask",
        {"lengths": ones(3, dtype="int32")},
        "lengths and sequence: expected equal sizes on axis 0; "
        "received {'lengths': (3,), 'sequence': (2, 3, 4)}",
    ),
    (
        "lengths_to_mask",
        {"lengths": ones(2, 2, dtype="int32")},
        "lengths: expected shape (batch,) or (batch, 1); received (2, 2)",
    ),
    (
        "lengths_to_mask",
        {"x": ones(BATCH)},
        f"x: {RANK}2 or more; received shape (2,)",
    ),
    (
        "linear",
        {"x": np.float32(1)},
        f"x: {RANK}1 or more; received shape ()",
    ),
    (
        "linear",
        {"kernel": ones(3, UNITS)},
        "kernel: expected shape (dim, units) with dim = 4; received (3, 2)",
    ),
    (
        "linear",
        {"kernel": ones(DIM)},
        f"kernel: {RANK}2; received shape (4,)",
    ),
    (
        "linear",
        {"bias": ones(1)},
        "bias: expected shape (units) with units = 2; received (1,)",
    ),
    ("lstm", {"x": X[..., 0]}, f"x: {RANK}3; received shape (2, 3)"),
    (
        "lstm",
        {"valid": NO_STEPS},
        "valid and x: expected equal sizes on axis 1; "
        "received {'valid': (2, 1), 'x': (2, 3, 4)}",
    ),
    (
        "lstm",
        {"x": X[..., :3]},
        "kernel: expected shape (dim, 4 * units) with dim = 3; received (4, 8)",
    ),
    (
        "lstm",
        {"kernel": ones(DIM, UNITS)},
        "kernel: expected shape (dim, 4 * units) with 4 * units = 8; "
        "received (4, 2)",
    ),
    *(
        (
            "lstm",
            {"recurrent_kernel": ones(*shape)},
            "recurrent_kernel: expected shape (units, 4 * units); "
            f"received {shape}",
        )
        for shape in ((), (2,), (2, 2), (2, 8, 1))
    ),
    (
        "lstm",
        {"bias": ones(UNITS)},
        "bias: expected shape (4 * units) with 4 * units = 8; received (2,)",
    ),
    ("lstm", {"reverse": "yes"}, f"reverse: {BOOL}{WORD}"),
    *(
        (op, {"x": X[0]}, f"x: {RANK}3; received shape (3, 4)")
        for op in ("masked_max", "masked_mean", "masked_sum", "sinusoid_like")
    ),
    *(
        (
            op,
            {"valid": NO_STEPS},
            "valid and x: expected equal sizes on axis 1; "
            "received {'valid': (2, 1), 'x': (2, 3, 4)}",
        )
        for op in ("masked_max", "masked_mean", "masked_sum", "zero_padding")
    ),
    *(
        (op, {"valid": VALID[0]}, f"valid: {RANK}2; received shape (3,)")
        for op in ("masked_max", "masked_mean", "masked_sum", "step_weights")
    ),
    (
        "masked_softmax",
        {"scores": np.float32(1), "valid": True},
        f"scores: {RANK}1 or more; received shape ()",
    ),
    *(
        (
            "masked_softmax",
            {"valid": ones(*shape, dtype=bool)},
            "valid: expected a shape that spreads to (2, 1, 3); "
            f"received {shape}",
        )
        for shape in ((2, 3), (2, 1, 2), (1, 2, 1, 3))
    ),
    *(
        (
            "masked_softmax",
            {"axis": axis},
            f"axis: expected 0 to 2, or -3 to -1; received {axis!r}",
        )
        for axis in (3, -4, 1.0, None, True)
    ),
    (
        "moments",
        {"axes": 1},
        "axes: expected a sequence of axes; received 1",
    ),
    *(
        (
            "moments",
            {"axes": (0, axis)},
            f"axes: expected 0 to 2, or -3 to -1; received {axis!r}",
        )
        for axis in (3, None, 0.5)
    ),
    (
        "moments",
        {"axes": (0, -3)},
        "axes: expected axes that differ; received [0, 0]",
    ),
    (
        "moments",
        {"valid": VALID},
        "valid: expected a shape that spreads to (2, 3, 4); received (2, 3)",
    ),
    *(
        (
            ATTENTION,
            {argument: X},
            f"{argument}: {RANK}4; received shape (2, 3, 4)",
        )
        for argument in ("query", "keys", "values")
    ),
    (
        ATTENTION,
        {"keys": HEADS[..., :2]},
        "keys: expected shape (batch, heads, steps, dim) with dim = 4; "
        "received (2, 1, 3, 2)",
    ),
    (
        ATTENTION,
        {"values": HEADS[:, :, :2]},
        "values: expected shape (batch, heads, steps, dim) with steps = 3; "
        "received (2, 1, 2, 4)",
    ),
    (
        ATTENTION,
        {"query": ones(BATCH, 2, STEPS, DIM)},
        "keys: expected shape (batch, heads, steps, dim) with heads = 2; "
        "received (2, 1, 3, 4)",
    ),
    (
        ATTENTION,
        {"valid": NO_STEPS},
        "valid: expected shape (batch, steps) with steps = 3; received (2, 1)",
    ),
    (
        ATTENTION,
        {"query_valid": NO_STEPS},
        "query_valid: expected shape (batch, queries) with queries = 3; "
        "received (2, 1)",
    ),
    (
        ATTENTION,
        {"attention_type": "dot"},
        "attention_type: expected one of 'scaled_dot_product', 'cos', 'ln', "
        "'additive'; received 'dot'",
    ),
    *(
        (
            ATTENTION,
            {"attention_type": kind, "weights": weights},
            f"weights: expected {count} of them for {kind!r}; "
            f"received {weights!r}",
        )
        for kind, count, weights in (
            ("ln", 4, ()),
            ("additive", 2, None),
            ("additive", 2, VECTOR),
            ("cos", 0, (VECTOR,)),
        )
    ),
    (
        ATTENTION,
        {"weights": (VECTOR, ones(3))},
        "weights[1]: expected shape (dim) with dim = 4; received (3,)",
    ),
    (ATTENTION, {"blinding": 1}, f"blinding: {BOOL}1"),
    (
        ATTENTION,
        {"dropout": 0.5},
        "dropout: expected a function or None; received 0.5",
    ),
    *(
        (
            ATTENTION,
            {"most_scores": most},
            f"most_scores: expected a positive integer; received {most!r}",
        )
        for most in (0, 1.5, None, True)
    ),
    (
        "resolve_mask",
        {"x": ones(BATCH)},
        f"x: {RANK}2 or more; received shape (2,)",
    ),
    *(
        (
            "resolve_mask",
            {"mask": ones(*shape, dtype=bool)},
            f"mask: {RANK}2; received shape {shape}",
        )
        for shape in ((2,), (2, 3, 1))
    ),
    *(
        (
            "resolve_mask",
            {"mask": ones(*shape, dtype=bool)},
            f"mask and sequence: expected equal sizes on axis {axis}; "
            f"received {{'mask': {shape}, 'sequence': (2, 3, 4)}}",
        )
        for axis, shape in ((0, (3, 3)), (1, (2, 4)))
    ),
    (
        "resolve_mask",
        {"lengths": ones(3, dtype="int32")},
        "lengths and sequence: expected equal sizes on axis 0; "
        "received {'lengths': (3,), 'sequence': (2, 3, 4)}",
    ),
    *(
        (
            "sinusoid",
            {"steps": steps},
            f"steps: expected an integer{more}; received {steps!r}",
        )
        for steps, more in (
            (-1, " of at least 0"),
            (1.0, ""),
            (None, ""),
            (True, ""),
        )
    ),
    *(
        (
            "sinusoid",
            {"dim": dim},
            f"dim: expected a positive integer; received {dim!r}",
        )
        for dim in (0, 4.0, None)
    ),
    (
        "step_weights",
        {"weights": X},
        f"weights: {RANK}2; received shape (2, 3, 4)",
    ),
    (
        "step_weights",
        {"valid": NO_STEPS},
        "valid and weights: expected equal sizes on axis 1; "
        "received {'valid': (2, 1), 'weights': (2, 3)}",
    ),
    ("step_weights", {"normalize": None}, f"normalize: {BOOL}None"),
    (
        "zero_padding",
        {"valid": ones(2, 3, 4, 1, dtype=bool)},
        f"valid: {RANK}1 or 2 or 3; received shape (2, 3, 4, 1)",
    ),
]


@pytest.mark.parametrize(
    ("op", "wrong", "message"),
    [
        pytest.param(*row, id=f"{row[0]}-{'-'.join(row[1])}-{i}")
        for i, row in enumerate(ROWS)
    ],
)
def test_bad_arguments_are_refused(op, wrong, message):
    with says(message):
        getattr(kseq.ops, op)(**RIGHT[op] | wrong)


# Looked at only where sizes are not known, which no eager tensor is.
NOT_LOOKED_AT = {(ATTENTION, "max_steps")}


def test_every_argument_of_every_op_is_in_the_tables():
    refused = {
        (op, argument.partition("[")[0])
        for op, kinds in KINDS.items()
        for argument in kinds
    }
    refused |= {(op, argument) for op, wrong, _ in ROWS for argument in wrong}
    there = {
        (name, argument)
        for name, op in vars(kseq.ops).items()
        if inspect.isfunction(op)
        for argument in inspect.signature(op).parameters
    }
    assert there == refused | NOT_LOOKED_AT


def test_the_most_steps_are_checked_where_steps_are_not_known():
    class Attend(keras.layers.Layer):
        def call(self, x):
            x = x[:, None]
            valid = keras.ops.ones_like(x[:, 0, :, 0], "bool")
            return kseq.ops.multi_head_attention(x, x, x, valid, max_steps=-1)

    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has unknown steps while it computes")
    with pytest.raises(ValueError, match="max_steps: expected a positive"):
        Attend()(keras.Input((None, DIM)))
