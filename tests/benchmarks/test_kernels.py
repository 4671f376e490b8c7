"""The Triton kernels, computed by Triton's interpreter on a CPU.

They are compared with kseq.ops and the reference in float64.
"""

import os

import numpy as np
import pytest

from kseq.agreement import tables
from kseq.ops import recurrence
from tests.reference import recurrence as reference

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("TRITON_INTERPRET is not 1", allow_module_level=True)

torch = pytest.importorskip("torch", reason="the kernels are for PyTorch")
gru, lstm, parts = (
    pytest.importorskip(f"benchmarks.gpu.kernels.{name}", reason="no Triton")
    for name in ("gru", "lstm", "parts")
)

BATCH, STEPS, DIM, UNITS = 5, 6, 3, 7
VALID = np.array(
    [
        [1, 1, 1, 1, 1, 1],
        [0, 1, 1, 0, 1, 0],  # a mask, not lengths
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


@pytest.fixture(autouse=True)
def _launch(monkeypatch):
    monkeypatch.setattr(parts, "launch", parts.Launch())


def run(function, arrays, dtype):
    """The outputs, and the gradients of their products with random numbers."""
    tensors = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in arrays]
    outputs = function(*tensors)
    draw = np.random.default_rng(1)
    upstream = [
        torch.tensor(draw.normal(size=x.shape), dtype=dtype) for x in outputs
    ]
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


@pytest.mark.parametrize("index", range(2), ids=["AUGRU", "LSTM"])
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
