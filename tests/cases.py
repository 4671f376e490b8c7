"""The cases that every backend computes, with their float64 references.

The examples of `tests.layers.catalog`, the main ones in half precision too. One
of each layer is compiled and trained, which takes minutes on some backends.
"""

import numpy as np

from kseq.agreement import Case
from kseq.agreement.tables import DTYPES
from kseq.ops import multi_head_attention
from tests.layers.catalog import EXAMPLES, MAIN, MASK, draw
from tests.reference import transformer as ref_transformer
from tests.reference.masks import softmax

BATCH, STEPS, DIM = 4, 6, 3
X = draw("x", BATCH, STEPS, DIM)
WEIGHTS = draw("weights", BATCH, STEPS, 1)
EAGER = ("forward", "gradients")
COMPILED = ("forward_compiled", "gradients_compiled")
# The other layers are parts of these.
TRAINED = {
    "pooling-mean-lengths",
    "weighted-softmax-lengths",
    "k-max-steps-lengths",
    "attention-dice-training",
    "gru-augru",
    "bilstm-ave",
    "transformer-positions",
    "layer-normalization-mask",
    "bias-encoding",
}


def example_cases():
    for example in EXAMPLES:
        masks = example.name.endswith("-mask")
        trial = example.trial(measured=True, draw=draw, masks=masks)
        dtypes = DTYPES if example in MAIN else ("float64", "float32")
        yield trial.case(example.name, dtypes, EAGER)
        if example.name in TRAINED:
            name = f"{example.name}-compiled"
            yield trial.case(name, ("float32",), COMPILED)
        if example.name in TRAINED and not masks:
            name = f"{example.name}-fit"
            yield trial.case(name, ("float64", "float32"), ("fit",))


def chunked_attention_cases():
    """Few enough scores at a time for chunks of two queries."""
    heads, dim = 2, 3
    queries = draw("queries of heads", BATCH, heads, 5, dim)
    keys = draw("keys of heads", BATCH, heads, STEPS, dim)
    values = draw("values of heads", BATCH, heads, STEPS, dim)
    vectors = draw("vectors", 2, dim)

    def chunked(kind, blinding, max_scores, *weights):
        def attend(inputs):
            query, keys, values, *weights = inputs
            return multi_head_attention(
                query,
                keys,
                values,
                MASK,
                kind,
                tuple(weights),
                blinding=blinding,
                max_scores=max_scores,
            )

        allowed = np.repeat(MASK[:, None], queries.shape[2], axis=1)
        if blinding:
            allowed = allowed & ~np.eye(*allowed.shape[1:], dtype=bool)

        def reference(inputs, _):
            query, keys, values, *weights = inputs
            attended = [
                softmax(
                    ref_transformer.scores(
                        query[:, h], keys[:, h], kind, weights
                    ),
                    allowed,
                )
                @ values[:, h]
                for h in range(heads)
            ]
            return np.stack(attended, axis=1)

        return Case(
            f"attention-groups-{kind}",
            lambda: (attend, [queries, keys, values, *weights]),
            reference,
            DTYPES,
            EAGER,
        )

    yield chunked("scaled_dot_product", True, 4 * STEPS)
    yield chunked("additive", False, 4 * STEPS * dim, *vectors)


CASES = [*example_cases(), *chunked_attention_cases()]
