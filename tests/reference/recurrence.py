"""GRU variants (Zhou et al., 2019, equations 2-6) and LSTM, step by step."""

import numpy as np

from tests.reference.attention import sigmoid
from tests.reference.masks import select


def gru(x, valid, weights, scores=None, gru_type="GRU", form="deepctr", h=None):
    """(outputs, last state): (batch, steps, units) and (batch, units)."""
    gates, gates_bias, candidate, candidate_bias, *state_bias = weights
    units = candidate.shape[1]
    batch, steps, _ = x.shape
    given = [x, *weights, scores, h]
    dtype = np.result_type(*(array for array in given if array is not None))
    h = np.zeros((batch, units), dtype) if h is None else h
    outputs = np.zeros((batch, steps, units), dtype)
    for t in range(steps):
        now = select(valid[:, t, None], x[:, t])
        both = np.concatenate([now, h], axis=1)
        r, u = np.split(sigmoid(both @ gates + gates_bias), 2, axis=1)
        dim = now.shape[1]
        from_state = (r * h) @ candidate[dim:]
        if state_bias:
            from_state = r * (h @ candidate[dim:] + state_bias[0])
        c = np.tanh(now @ candidate[:dim] + from_state + candidate_bias)
        if gru_type in ("GRU", "AIGRU"):
            new = u * h + (1 - u) * c
        else:
            a = scores[:, t, None]
            if gru_type == "AGRU":
                new = (1 - a) * h + a * c
            elif form == "deepctr":
                keep = (1 - a) * u
                new = keep * h + (1 - keep) * c
            else:
                update = a * u
                new = (1 - update) * h + update * c
        h = select(valid[:, t, None], new, h)
        outputs[:, t] = select(valid[:, t, None], new)
    return outputs, h


def lstm(x, valid, kernel, recurrent_kernel, bias, reverse=False):
    """(batch, steps, units)."""
    units = recurrent_kernel.shape[0]
    batch, steps, _ = x.shape
    dtype = np.result_type(x, kernel, recurrent_kernel, bias)
    h, c = np.zeros((2, batch, units), dtype)
    outputs = np.zeros((batch, steps, units), dtype)
    for t in reversed(range(steps)) if reverse else range(steps):
        on = valid[:, t, None]
        z = select(on, x[:, t]) @ kernel + h @ recurrent_kernel + bias
        i, f, g, o = np.split(z, 4, axis=1)
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        h, c = select(on, new_h, h), select(on, new_c, c)
        outputs[:, t] = select(on, new_h)
    return outputs


def bilstm(x, valid, weights, layers, res_layers=0, merge="ave"):
    ways = []
    for way in range(2):
        y = select(valid[..., None], x)
        for i in range(layers):
            at = 3 * (way * layers + i)
            out = lstm(y, valid, *weights[at : at + 3], reverse=way == 1)
            y = out + y if i >= layers - res_layers else out
        ways.append(y)
    f, b = ways
    return {
        "fw": f,
        "bw": b,
        "sum": f + b,
        "mul": f * b,
        "ave": (f + b) / 2,
        "concat": np.concatenate([f, b], axis=-1),
        None: [f, b],
    }[merge]
