"""The Triton kernels, computed by Triton's interpreter on a CPU.

They are compared with kseq.ops and the reference in float64.
"""

import itertools
import os

import keras
import numpy as np
import pytest

from kseq.agreement import tables
from kseq.layers.sequence import AttentionSequencePoolingLayer
from kseq.ops import recurrence
from tests.reference import attention
from tests.reference import recurrence as reference

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("TRITON_INTERPRET is not 1", allow_module_level=True)

torch = pytest.importorskip("torch", reason="the kernels are for PyTorch")
din, gru, lstm, parts = (
    pytest.importorskip(f"benchmarks.gpu.kernels.{name}", reason="no Triton")
    for name in ("din", "gru", "lstm", "parts")
)

BATCH, STEPS, DIM, UNITS = 5, 6, 3, 7
VALID = np.array(
    [
        [1, 1, 1, 1, 1, 1],
        [0, 1, 0, 0, 1, 0],  # a mask, not lengths
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    bool,
)
FORMS = [
    *(("GRU", "deepctr"), ("AIGRU", "deepctr"), ("AGRU", "deepctr")),
    *(("AUGRU", "deepctr"), ("AUGRU", "paper")),
]
RNG = np.random.default_rng(0)
GRU_WEIGHTS = [
    *(RNG.normal(size=(DIM + UNITS, 2 * UNITS)), RNG.normal(size=2 * UNITS)),
    *(RNG.normal(size=(DIM + UNITS, UNITS)), RNG.normal(size=UNITS)),
]
LSTM_WEIGHTS = [
    RNG.normal(size=shape)
    for shape in ((DIM, 4 * UNITS), (UNITS, 4 * UNITS), 4 * UNITS)
]
X = RNG.normal(size=(BATCH, STEPS, DIM))
START = RNG.normal(size=(BATCH, UNITS))
# Of DIN's layers: the first has a block of units and a part of another.
HIDDEN = 18, 5


@pytest.fixture(autouse=True)
def _launch(monkeypatch):
    monkeypatch.setattr(parts, "launch", parts.Launch())


def strided(x, dtype):
    """A tensor that is not contiguous, unless it is a vector."""
    x = torch.tensor(x, dtype=dtype)
    return x.mT.contiguous().mT if x.ndim > 1 else x


def run(function, arrays, dtype):
    """The outputs, and the gradients of their products with random numbers."""
    tensors = [strided(x, dtype).requires_grad_() for x in arrays]
    outputs = function(*tensors)
    draw = np.random.default_rng(1)
    upstream = [strided(draw.normal(size=x.shape), dtype) for x in outputs]
    gradients = torch.autograd.grad(
        outputs, tensors, upstream, materialize_grads=True
    )
    return [[x.detach().double() for x in g] for g in (outputs, gradients)]


def check(kernel, expected, arrays, dtype=torch.float32):
    """The kernel agrees with the expected function; returns its outputs."""
    found = run(kernel, arrays, dtype)
    truth = run(expected, arrays, torch.float64)
    name = str(dtype).removeprefix("torch.")
    for kind, got, want in zip(
        ("forward", "gradients"), found, truth, strict=True
    ):
        limit = tables.TOLERANCES[name, kind].limit
        for a, b in zip(got, want, strict=True):
            scale = max(float(b.abs().max()), 1e-9)
            assert float((a - b).abs().max()) <= limit * scale, kind
    return found[0]


def padded(x, value):
    """x with a value in its padded steps."""
    valid = VALID.reshape(BATCH, STEPS, *[1] * (x.ndim - 2))
    return np.where(valid, x, value)


@pytest.mark.parametrize("candidates", [None, 2])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(("gru_type", "form"), FORMS)
def test_gru_agrees_with_ops_and_the_reference(
    gru_type, form, keep, candidates
):
    parts.launch.keep = keep
    valid = torch.tensor(VALID)
    shape = (BATCH, STEPS) + ((candidates,) if candidates else ())
    scores = np.random.default_rng(2).random(shape)

    def call(function):
        def function_of_tensors(x, start, scores, *weights):
            scores = None if gru_type == "GRU" else scores
            return function(x, valid, *weights, scores, gru_type, form, start)

        return function_of_tensors

    arrays = [padded(X, np.nan), START, padded(scores, np.nan), *GRU_WEIGHTS]
    outputs, state = check(call(gru.gru), call(recurrence.gru), arrays)
    if candidates is None:
        x = X * scores[..., None] if gru_type == "AIGRU" else X
        wanted = reference.gru(
            *(x, VALID, GRU_WEIGHTS, scores, gru_type, form, START)
        )
        np.testing.assert_allclose(outputs, wanted[0], atol=2e-6)
        np.testing.assert_allclose(state, wanted[1], atol=2e-6)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
def test_lstm_agrees_with_ops_and_the_reference(reverse, keep):
    parts.launch.keep = keep
    valid = torch.tensor(VALID)

    def call(function):
        return lambda x, *weights: [function(x, valid, *weights, reverse)]

    arrays = [padded(X, np.nan), *LSTM_WEIGHTS]
    (outputs,) = check(call(lstm.lstm), call(recurrence.lstm), arrays)
    wanted = reference.lstm(X, VALID, *LSTM_WEIGHTS, reverse)
    np.testing.assert_allclose(outputs, wanted, atol=2e-6)


def test_lstm_continues_from_a_state():
    def halves(x, *weights):
        state, outputs = None, []
        for part in (slice(4), slice(4, None)):
            valid = torch.tensor(VALID[:, part])
            h, *state = lstm.lstm(
                x[:, part], valid, *weights, False, state, return_state=True
            )
            outputs.append(h)
        return [torch.cat(outputs, dim=1)]

    def whole(x, *weights):
        return [recurrence.lstm(x, torch.tensor(VALID), *weights)]

    check(halves, whole, [X, *LSTM_WEIGHTS])


def din_arrays(activation, candidates):
    """Candidates, and weights in the reference's order."""
    draw = np.random.default_rng(4)
    widths = [4 * DIM, *HIDDEN]
    shapes = [(HIDDEN[-1], 1), *itertools.pairwise(widths)]
    outer, *kernels = (draw.normal(size=s) / s[0] ** 0.3 for s in shapes)
    bias, *biases = (draw.normal(size=n) / 4 for n in (1, *HIDDEN))
    count = {"prelu": 1, "dice": 3}.get(activation, 0)
    return [
        *(draw.normal(size=(BATCH, candidates, DIM)), outer, bias),
        *(*kernels, *biases),
        *(0.5 + draw.random(width) for width in HIDDEN for _ in range(count)),
    ]


def din_layer(activation, normalize=False, training=False):
    """kseq's layer in float64, a function of its weights."""
    name = activation
    if activation == "prelu":
        name = keras.layers.PReLU(shared_axes=[1])
    layer = AttentionSequencePoolingLayer(
        HIDDEN, name, normalize, dtype="float64"
    )
    layer.build((BATCH, None, DIM), (BATCH, STEPS, DIM))
    is_dice = activation == "dice"

    def call(keys, query, *weights):
        dense, rest = weights[:6], weights[6:]
        alphas = rest[::3] if is_dice else rest
        values = [
            value.reshape(tuple(variable.shape))
            for value, variable in zip(
                [*dense, *alphas], layer.trainable_variables, strict=True
            )
        ]
        moving = [*rest[1:3], *rest[4:]] if is_dice else []
        found, _ = layer.stateless_call(
            *(values, moving, query, keys),
            keys_mask=torch.tensor(VALID),
            training=training,
        )
        return [found]

    return call


def din_kernel(*options):
    def call(keys, query, *weights):
        valid = torch.tensor(VALID)
        # Not contiguous.
        query, keys = (x.mT.contiguous().mT for x in (query, keys))
        return [din.attention(query, keys, valid, weights, *options)[0]]

    return call


@pytest.mark.parametrize(
    ("activation", "normalize", "training", "candidates"),
    [
        *(("sigmoid", False, False, 3), ("sigmoid", True, False, 1)),
        *(("relu", True, False, 1), ("prelu", False, False, 1)),
        *(("dice", True, False, 1), ("dice", True, True, 1)),
        ("dice", False, True, 3),
    ],
)
def test_din_agrees_with_the_layer_and_the_reference(
    activation, normalize, training, candidates
):
    parts.launch.steps = 2
    query, *weights = din_arrays(activation, candidates)
    options = activation, normalize, training
    (pooled,) = check(
        *(din_kernel(*options), din_layer(*options)),
        [padded(X, np.nan), query, *weights],
    )
    wanted, _ = attention.attention_pooling(
        *(query, X, VALID, weights, normalize),
        activation=activation,
        training=training,
    )
    np.testing.assert_allclose(pooled, wanted, atol=2e-6 * abs(wanted).max())


def test_bfloat16_agrees():
    valid = torch.tensor(VALID)
    scores = np.random.default_rng(2).random((BATCH, STEPS))

    def augru(function):
        return lambda x, scores, *w: function(x, valid, *w, scores, "AUGRU")

    def one_way(function):
        return lambda x, *weights: [function(x, valid, *weights)]

    def rounded(*arrays):
        return [torch.tensor(x).bfloat16().double().numpy() for x in arrays]

    arrays = rounded(X, scores, *(w / 3 for w in GRU_WEIGHTS))
    check(augru(gru.gru), augru(recurrence.gru), arrays, torch.bfloat16)
    arrays = rounded(X, *(w / 3 for w in LSTM_WEIGHTS))
    check(one_way(lstm.lstm), one_way(recurrence.lstm), arrays, torch.bfloat16)
    arrays = rounded(X, *din_arrays("dice", 2))
    check(din_kernel("dice"), din_layer("dice"), arrays, torch.bfloat16)


def operators():
    """The operators with arguments."""
    draw = np.random.default_rng(3)

    def tensor(*shape):
        return torch.tensor(
            draw.normal(size=shape), dtype=torch.float32, requires_grad=True
        )

    # After the last valid step, what is kept for the gradient is arbitrary.
    valid = torch.ones(BATCH, STEPS, dtype=torch.bool)
    start = tensor(BATCH, UNITS)
    kernels = tensor(UNITS, 2 * UNITS), tensor(UNITS, UNITS)
    x = tensor(BATCH, STEPS, 3 * UNITS)
    scores = tensor(BATCH, STEPS)
    yield gru.gru_loop, (x, valid, scores, start, *kernels, "AUGRU deepctr")
    x, kernel = tensor(BATCH, STEPS, 4 * UNITS), tensor(UNITS, 4 * UNITS)
    yield lstm.lstm_loop, (x, valid, start, start, kernel, False)
    query, keys = tensor(BATCH, 2, DIM), tensor(BATCH, STEPS, DIM)
    kernels = tensor(DIM, 4), tensor(DIM, 4), tensor(3, 4), tensor(4, 3)
    tensors = query, keys, valid, tensor(BATCH, 2, 4), *kernels, tensor(5, 3)
    for layer in range(3):
        yield din.din, (*tensors, tensor(1), "dice", True, layer)


@pytest.mark.parametrize(
    "index", range(5), ids=["AUGRU", "LSTM", "DIN", "DIN 1", "DIN 2"]
)
def test_operator_is_one_node_for_compilers(index):
    operator, arguments = [*operators()][index]
    # Schema, fake, autograd formula, and all of them under AOTAutograd.
    torch.library.opcheck(operator, arguments)

    class Loop(torch.nn.Module):
        def forward(self, *arguments):
            return operator(*arguments)

    program = torch.export.export(Loop(), arguments)
    calls = [str(n.target) for n in program.graph.nodes if callable(n.target)]
    assert sum("kseq_gpu" in name for name in calls) == 1
    for a, b in zip(
        program.module()(*arguments), operator(*arguments), strict=True
    ):
        assert torch.equal(a, b)


def test_too_many_units_are_rejected():
    weight = torch.zeros(65, 65)
    assert parts.launch.options(weight, gates=3)["BLOCK_UNITS"] == 128
    with pytest.raises(ValueError, match=r"weights: expected at most .* 65"):
        parts.launch.options(weight, gates=4)
