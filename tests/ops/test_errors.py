"""What the ops refuse, and in which words."""

import re

import numpy as np
import pytest

from kseq.ops import (
    attention_weights,
    din_hidden,
    gru,
    k_max,
    lengths_to_mask,
    lstm,
    masked_max,
    masked_mean,
    masked_softmax,
    masked_sum,
    multi_head_attention,
    resolve_mask,
    zero_padding,
)

X = np.zeros((2, 3, 4), "float32")


def lengths(*shape):
    return lengths_to_mask(np.ones(shape, "int32"), X)


def augru(scores):
    gates = np.ones((6, 4), "float32"), np.ones(4, "float32")
    candidate = np.ones((6, 2), "float32"), np.zeros(2, "float32")
    valid = np.ones((2, 3), bool)
    return gru(X, valid, gates, candidate, scores, gru_type="AUGRU")


LSTM = [np.ones(s, "float32") for s in ((4, 8), (2, 8), (8,))]


def mask(*shape):
    return resolve_mask(X, np.ones(shape, bool))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lengths(),
            "lengths: expected a tensor of rank 1 or 2; received shape ()",
        ),
        (
            lambda: lengths(2, 1, 1),
            "lengths: expected a tensor of rank 1 or 2; "
            "received shape (2, 1, 1)",
        ),
        (
            lambda: lengths(3),
            "lengths and sequence: expected equal sizes on axis 0; "
            "received {'lengths': (3,), 'sequence': (2, 3, 4)}",
        ),
        (
            lambda: lengths(2, 2),
            "lengths: expected shape (batch,) or (batch, 1); received (2, 2)",
        ),
        (
            lambda: mask(2),
            "mask: expected a tensor of rank 2; received shape (2,)",
        ),
        (
            lambda: mask(2, 3, 1),
            "mask: expected a tensor of rank 2; received shape (2, 3, 1)",
        ),
        (
            lambda: mask(3, 3),
            "mask and sequence: expected equal sizes on axis 0; "
            "received {'mask': (3, 3), 'sequence': (2, 3, 4)}",
        ),
        (
            lambda: mask(2, 4),
            "mask and sequence: expected equal sizes on axis 1; "
            "received {'mask': (2, 4), 'sequence': (2, 3, 4)}",
        ),
        (
            lambda: resolve_mask(X, np.ones((2, 3), bool), np.ones(3, "int32")),
            "lengths and sequence: expected equal sizes on axis 0; "
            "received {'lengths': (3,), 'sequence': (2, 3, 4)}",
        ),
        (
            lambda: k_max(X, 0),
            "k: expected a positive integer; received 0",
        ),
        (
            lambda: k_max(X, True),
            "k: expected a positive integer; received True",
        ),
        (
            lambda: k_max(X, 1.0),
            "k: expected a positive integer; received 1.0",
        ),
        (
            lambda: k_max(X, 4),
            "k: expected at most the size 3 of axis 1; received 4",
        ),
        (
            lambda: k_max(X, 5, axis=-1),
            "k: expected at most the size 4 of axis 2; received 5",
        ),
        *(
            (
                lambda op=op: op(X, np.ones((2, 1), bool)),
                "mask and sequence: expected equal sizes on axis 1; "
                "received {'mask': (2, 1), 'sequence': (2, 3, 4)}",
            )
            for op in (zero_padding, masked_sum, masked_mean, masked_max)
        ),
        (
            lambda: augru(None),
            "scores: expected (batch, steps), for AUGRU; received None",
        ),
        (
            lambda: augru(np.ones((2, 3, 1), "float32")),
            "scores: expected a tensor of rank 2; received shape (2, 3, 1)",
        ),
        (
            lambda: lstm(X[..., 0], np.ones((2, 3), bool), *LSTM),
            "x: expected a tensor of rank 3; received shape (2, 3)",
        ),
        (
            lambda: lstm(X[..., :3], np.ones((2, 3), bool), *LSTM),
            "kernel: expected a kernel of shape (3, 8); received (4, 8)",
        ),
        (
            lambda: lstm(X, np.ones((2, 1), bool), *LSTM),
            "mask and sequence: expected equal sizes on axis 1; "
            "received {'mask': (2, 1), 'sequence': (2, 3, 4)}",
        ),
        (
            lambda: multi_head_attention(
                *3 * (X[:, None],), np.ones((2, 3), bool), "ln"
            ),
            "weights: expected 4 of them for 'ln'; received 0",
        ),
        (
            lambda: multi_head_attention(*3 * (X,), np.ones((2, 3), bool)),
            "query: expected a tensor of rank 4; received shape (2, 3, 4)",
        ),
        (
            lambda: attention_weights(X, np.ones(2, bool)),
            "valid: expected a tensor of rank 2; received shape (2,)",
        ),
        (
            lambda: attention_weights(X, np.ones((3, 4), bool)),
            "valid and scores: expected equal sizes on axis 0; "
            "received {'valid': (3, 4), 'scores': (2, 3, 4)}",
        ),
        *(
            (
                lambda shape=shape: zero_padding(X, np.ones(shape, bool)),
                "mask: expected a tensor of rank 1 or 2 or 3; "
                f"received shape {shape}",
            )
            for shape in ((), (2, 3, 4, 1))
        ),
        (
            lambda: attention_weights(X, np.ones((2, 1), bool)),
            "valid and scores: expected equal sizes on axis -1; "
            "received {'valid': (2, 1), 'scores': (2, 3, 4)}",
        ),
        (
            lambda: masked_softmax(np.ones((2, 3), "int32"), True),
            "dtype of scores: expected one of 'float16', 'bfloat16', "
            "'float32', 'float64'; received 'int32'",
        ),
        (
            lambda: din_hidden(X, X, np.ones((16, 2)), np.ones(2), "both"),
            "form: expected one of 'fold', 'split'; received 'both'",
        ),
        *(
            (
                lambda axis=axis: k_max(X, 1, axis=axis),
                f"axis: expected 1 to 2, or -2 to -1; received {axis}",
            )
            for axis in (0, 3, -3, 1.0)
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
