"""Every layer's computations, with their float64 references.

The examples of `tests.layers.catalog`, and attention in chunks of queries.
"""

import numpy as np

from kseq.agreement import Computation
from kseq.ops import multi_head_attention
from tests.layers.catalog import EXAMPLES, MASK, draw
from tests.reference import transformer as ref_transformer
from tests.reference.masks import softmax

BATCH, STEPS, DIM = 4, 6, 3
HEADS, QUERIES = 2, 5


def of_example(example):
    masks = example.name.endswith("-mask")
    return example.trial(measured=True, draw=draw, masks=masks).computation()


def chunked(kind, blinding, max_scores, *weights):
    """Attention with few enough scores at a time for chunks of two queries."""
    queries = draw("queries of heads", BATCH, HEADS, QUERIES, DIM)
    keys = draw("keys of heads", BATCH, HEADS, STEPS, DIM)
    values = draw("values of heads", BATCH, HEADS, STEPS, DIM)

    def attend(query, keys, values, *weights):
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

    allowed = np.repeat(MASK[:, None], QUERIES, axis=1)
    if blinding:
        allowed = allowed & ~np.eye(*allowed.shape[1:], dtype=bool)

    def reference(query, keys, values, *weights):
        attended = [
            softmax(
                ref_transformer.scores(query[:, h], keys[:, h], kind, weights),
                allowed,
            )
            @ values[:, h]
            for h in range(HEADS)
        ]
        return np.stack(attended, axis=1)

    arguments = (queries, keys, values, *weights)
    return Computation(attend, arguments, reference=reference)


COMPUTATIONS = {
    **{example.name: of_example(example) for example in EXAMPLES},
    "attention-groups-scaled_dot_product": chunked(
        "scaled_dot_product", True, 4 * STEPS
    ),
    "attention-groups-additive": chunked(
        "additive", False, 4 * STEPS * DIM, *draw("vectors", 2, DIM)
    ),
}
